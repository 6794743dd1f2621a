"""Text files and folders of them, read whole within a limit."""

from __future__ import annotations

from pathlib import Path

from penstock.core.errors import DataError
from penstock.data.class_folders import Sort, find_files
from penstock.data.encoding import read_text
from penstock.data.paths import missing

TEXTS = Sort("text", (".txt", ".text", ".md", ".rst", ".tex", ".txt.gz"), "txt")

OTHERS = (
    ".pt .pt2 .pth .bin .npy .npz .pkl .pickle .safetensors .onnx .zip .tar .tgz .7z .pdf .doc .docx .xls .xlsx "
    ".png .jpg .jpeg .gif .bmp .webp .wav .flac .mp3 .ogg .mp4"
)
"""How files are named that are no text, even where their bytes happen to be."""


def text_files(where: Path) -> list[Path]:
    """The file itself, or the text files in a folder and below, in natural order.

    Raises DataError where there is none.
    """
    if not where.exists():
        raise missing(where)
    if not where.is_dir() and where.suffix.lower() in OTHERS.split():
        raise DataError(where, "no text by its name", "if it is text, give it a name that ends in .txt")
    return find_files(where, TEXTS) if where.is_dir() else [where]


def read_texts(where: Path, encoding: str, most: int) -> list[tuple[str, str]]:
    """The place and the text of each file; lines end in a line feed alone.

    Raises DataError for what is not text in that encoding, with the byte, and where the files have more than `most`
    bytes, before they are read.
    """
    files = text_files(where)
    sizes = sum(path.stat().st_size for path in files)
    if sizes > most:
        problem = f"{sizes:,} bytes of text, and at most {most:,} are held in memory"
        raise DataError(where, problem, "give less text, or raise --text.memory")
    found = []
    for path in files:
        if path.stat().st_size == 0 and len(files) > 1:
            continue
        text = read_text(path, encoding, most)
        found.append((str(path), text.replace("\r\n", "\n").replace("\r", "\n")))
    if not any(text.strip() for _, text in found):
        raise DataError(where, "there is nothing but space in it", "give a text")
    return found
