"""Pictures one after another, as a file that moves."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from penstock.core.errors import RecipeError
from penstock.core.files import write_bytes
from penstock.rl.environment import Pixels

SMOOTH = 25.0
"""Pictures a second; more of them make files larger, and nothing clearer."""
_STILL = 1500
"""Milliseconds for which the last picture stands."""
_COLOURS = 64


def write_film(path: Path, pictures: Iterable[Pixels], rate: float) -> None:
    """Write pictures (H, W, 3), so many a second, as .gif or .mp4.

    Raises RecipeError for another ending, or where a library is missing, ResourceError where the disk refuses.
    """
    write_bytes(path, _maker_of(path)(pictures, rate))


def check_film(path: Path) -> None:
    """Raises RecipeError where `write_film` would."""
    _maker_of(path)


def every_nth(rate: float) -> int:
    """Of how many steps one is enough to be shown."""
    return max(math.ceil(rate / SMOOTH), 1)


def gif(pictures: Iterable[Pixels], rate: float) -> bytes:
    """An animation for web pages. A still picture may stand in place of many alike."""
    pause = max(round(100 / rate) * 10, 20)  # viewers know hundredths, and slow down below two
    return moving([Image.fromarray(picture) for picture in pictures], pause, _STILL)


def moving(pictures: Sequence[Image.Image], pause: int, still: int) -> bytes:
    """A .gif of pictures that stand for so many milliseconds each, and the last one for others."""
    frames = [picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=_COLOURS) for picture in pictures]
    file, times = io.BytesIO(), [pause] * (len(frames) - 1) + [still]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0)
    return file.getvalue()


def _mp4(pictures: Iterable[Pixels], rate: float) -> bytes:
    import tempfile

    from imageio_ffmpeg import write_frames

    even = (_even(picture) for picture in pictures)
    first = next(even)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "film.mp4"
        writer = write_frames(str(place), (first.shape[1], first.shape[0]), fps=rate, macro_block_size=2)
        writer.send(None)
        for picture in _after(first, even):
            writer.send(np.ascontiguousarray(picture))
        writer.close()
        return place.read_bytes()


def _after(first: Pixels, rest: Iterator[Pixels]) -> Iterator[Pixels]:
    yield first
    yield from rest


def _even(picture: Pixels) -> Pixels:
    """Of even height and width, as films must be."""
    height, width = picture.shape[:2]
    return picture[: height // 2 * 2, : width // 2 * 2]


_MAKERS: Mapping[str, Callable[[Iterable[Pixels], float], bytes]] = {".gif": gif, ".mp4": _mp4}


def _maker_of(path: Path) -> Callable[[Iterable[Pixels], float], bytes]:
    ending = path.suffix.casefold()
    if ending not in _MAKERS:
        raise RecipeError("--output", f"{path.name}: no film ends in {ending!r}", "name it .gif or .mp4")
    if ending == ".mp4":
        import importlib.util

        if importlib.util.find_spec("imageio_ffmpeg") is None:
            remedy = "pip install 'penstock[play]', or name it .gif"
            raise RecipeError("--output", "an .mp4 needs imageio-ffmpeg, which is not installed", remedy)
    return _MAKERS[ending]
