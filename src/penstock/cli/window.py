"""Episodes in a window."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from penstock.core.errors import RecipeError

if TYPE_CHECKING:
    from penstock.recipes.showing import Frame

_BLIND = ("offscreen", "dummy")
"""What SDL draws on where there is no display; nobody sees it, unless it was asked for."""
_SMALL = 400
"""Pixels: what is narrower is shown larger."""


def in_window(frames: Iterable[Frame], rate: float, title: str) -> None:
    """As fast as they are to be seen, until the last, or until the window is closed.

    Raises RecipeError where no window can be opened.
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        import pygame
    except ModuleNotFoundError:
        problem = "it needs pygame, which is not installed"
        raise RecipeError("--window", problem, "pip install 'penstock[play]', or give --output play.gif") from None
    try:
        pygame.display.init()
        if pygame.display.get_driver() in _BLIND and os.environ.get("SDL_VIDEODRIVER") not in _BLIND:
            raise pygame.error("none was found")
        clock, screen = pygame.time.Clock(), None
        for frame in frames:
            picture = frame.picture
            height, width = picture.shape[:2]
            size = width * (times := max(_SMALL // width, 1)), height * times
            screen = screen or pygame.display.set_mode(size)
            pygame.display.set_caption(f"{title} - {frame.said}")
            surface = pygame.image.frombuffer(picture.tobytes(), (width, height), "RGB")
            screen.blit(pygame.transform.scale(surface, size), (0, 0))
            pygame.display.flip()
            if any(event.type == pygame.QUIT for event in pygame.event.get()):
                return
            clock.tick(rate)
    except pygame.error as error:
        remedy = "play in the terminal, or give --output play.gif"
        raise RecipeError("--window", f"there is no display to open one on ({error})", remedy) from None
    finally:
        pygame.display.quit()
