"""Episodes in a terminal: as letters, or as pictures made of dots, eight in each letter."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from rich.live import Live
from rich.text import Text

from penstock.core.errors import harmless
from penstock.run.show import make_console

if TYPE_CHECKING:
    from penstock.recipes.showing import Frame
    from penstock.rl.environment import Pixels

_BLANK = 0x2800
"""The letter of Unicode's Braille patterns without a dot; each dot adds a bit."""
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""Of the dots of a letter, four rows of two."""
_APART = 40
"""From how far away from the background, of 255, a pixel is a dot."""
_WIDEST = 80


def in_terminal(frames: Iterable[Frame], rate: float) -> None:
    """As fast as they are to be seen; where the output is no terminal, the end of each episode alone."""
    console = make_console()
    live = Live(console=console, auto_refresh=False) if console.is_terminal else None
    pause = _Pause(rate)
    with live or contextlib.nullcontext():
        for frame in frames:
            if live is not None:
                live.update(_drawn(frame, min(console.width, _WIDEST), console.height - 2), refresh=True)
                pause.wait()
                if frame.last:
                    live.console.print(Text(frame.said))
            elif frame.last:
                console.print(_drawn(frame, _WIDEST, 24))


def _drawn(frame: Frame, columns: int, rows: int) -> Text:
    written = frame.text
    found = Text(harmless_lines(written)) if written is not None else dotted(frame.picture, columns, rows)
    return found.append(f"\n{frame.said}")


def harmless_lines(text: str) -> str:
    """What an environment writes must not steer the terminal."""
    return "\n".join(harmless(line) for line in text.splitlines())


def dotted(picture: Pixels, columns: int, rows: int) -> Text:
    """A picture (H, W, 3) within so many letters: dots where it is unlike its background, in its own colours."""
    height, width = picture.shape[:2]
    scale = min(2 * columns / width, 4 * rows / height)
    across, down = max(round(width * scale) // 2, 1), max(round(height * scale) // 4, 1)
    image = Image.fromarray(picture).resize((2 * across, 4 * down), Image.Resampling.BOX)
    pixels = np.asarray(image).astype(np.int64)  # (4 * rows, 2 * columns, 3)
    dots = np.abs(pixels - _background(picture)).max(2) > _APART
    cells = dots.reshape(down, 4, across, 2).transpose(0, 2, 1, 3)  # (rows, columns, 4, 2)
    letters = _BLANK + (cells * _BITS).sum((2, 3))
    colours = pixels.reshape(down, 4, across, 2, 3).transpose(0, 2, 1, 3, 4)
    mean = (colours * cells[..., None]).sum((2, 3)) // np.maximum(cells.sum((2, 3)), 1)[..., None]
    found = Text(no_wrap=True)
    for at, (line, tints) in enumerate(zip(letters.tolist(), mean.tolist(), strict=True)):
        found.append("\n" if at else "")
        for letter, (red, green, blue) in zip(line, tints, strict=True):
            found.append(chr(letter), f"rgb({red},{green},{blue})" if letter != _BLANK else None)
    return found


def _background(picture: Pixels) -> np.ndarray:
    """The colour that most of the pixels have."""
    colours, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
    found: np.ndarray = colours[counts.argmax()].astype(np.int64)
    return found


class _Pause:
    """Waits until the next picture is due."""

    def __init__(self, rate: float) -> None:
        self._seconds, self._due = 1 / rate, time.monotonic()

    def wait(self) -> None:
        self._due = max(self._due + self._seconds, time.monotonic() - self._seconds)
        time.sleep(max(self._due - time.monotonic(), 0))
