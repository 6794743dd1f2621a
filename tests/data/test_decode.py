"""Pictures in every mode, upright, fitted, and the damaged ones refused."""

from __future__ import annotations

import contextlib
import resource
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from penstock.core.errors import DataError
from penstock.data.decode import Picture, decode, peek

RNG = np.random.default_rng(7)
COLOUR = RNG.integers(0, 256, (24, 36, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (24, 36), dtype=np.uint8)


def save(folder: Path, image: Image.Image, name: str, **options: object) -> Path:
    path = folder / name
    image.save(path, **options)  # type: ignore[arg-type]
    return path


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def huge(path: Path, width: int, height: int) -> Path:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm"])
def test_a_picture_of_that_size_keeps_its_pixels(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path, Image.fromarray(COLOUR), f"图片.{suffix}")
    assert peek(path) == Picture(24, 36, 3)
    pixels = decode(path, 24, 36, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, COLOUR.transpose(2, 0, 1))


def test_grey_stays_one_channel_and_can_be_made_three(tmp_path: Path) -> None:
    path = save(tmp_path, Image.fromarray(GREY), "g.png")
    assert peek(path).channels == 1
    np.testing.assert_array_equal(decode(path, 24, 36, 1)[0], GREY)
    np.testing.assert_array_equal(decode(path, 24, 36, 3), np.stack([GREY] * 3))
    colour = save(tmp_path, Image.fromarray(COLOUR), "c.png")
    luma = COLOUR @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    assert np.abs(decode(colour, 24, 36, 1)[0] - luma).max() <= 1


def test_deep_grey_is_scaled_to_eight_bits(tmp_path: Path) -> None:
    deep = np.array([[0, 128, 129, 257, 32_768, 65_535]], dtype=np.uint16)
    for name in ("d.png", "d.tiff"):
        path = save(tmp_path, Image.fromarray(deep), name)
        assert peek(path) == Picture(1, 6, 1)
        np.testing.assert_array_equal(decode(path, 1, 6, 1)[0], np.rint(deep / 257))
    real = save(tmp_path, Image.fromarray(deep.astype(np.float32)), "f.tiff")
    with pytest.raises(DataError, match="8 or 16 bits"):
        decode(real, 1, 6, 1)


def test_transparent_parts_lie_over_white(tmp_path: Path) -> None:
    alpha = RNG.integers(0, 256, (24, 36), dtype=np.uint8)
    weight = alpha[..., None] / 255
    rgba = save(tmp_path, Image.fromarray(np.dstack([COLOUR, alpha])), "a.png")
    assert peek(rgba).channels == 3
    expected = (COLOUR * weight + 255 * (1 - weight)).transpose(2, 0, 1)
    assert np.abs(decode(rgba, 24, 36, 3) - expected).max() <= 1
    la = save(tmp_path, Image.fromarray(np.dstack([GREY, alpha])), "la.png")
    assert peek(la).channels == 1
    assert np.abs(decode(la, 24, 36, 1)[0] - (GREY * weight[..., 0] + 255 * (1 - weight[..., 0]))).max() <= 1


def test_palettes_and_print_colours(tmp_path: Path) -> None:
    palette = Image.fromarray(COLOUR).quantize(16)
    path = save(tmp_path, palette, "p.png")
    assert peek(path).channels == 3
    np.testing.assert_array_equal(decode(path, 24, 36, 3), np.asarray(palette.convert("RGB")).transpose(2, 0, 1))
    clear = save(tmp_path, palette, "p.gif", transparency=palette.getpixel((0, 0)))
    np.testing.assert_array_equal(decode(clear, 24, 36, 3)[:, 0, 0], [255, 255, 255])
    cmyk = Image.new("CMYK", (4, 4), (255, 0, 0, 0))
    np.testing.assert_array_equal(decode(save(tmp_path, cmyk, "c.tiff"), 4, 4, 3)[:, 0, 0], [0, 255, 255])
    bits = save(tmp_path, Image.fromarray(GREY > 99), "b.png")
    np.testing.assert_array_equal(decode(bits, 24, 36, 1)[0], np.where(GREY > 99, 255, 0))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tiff", "jpg", "webp"])
def test_pictures_are_turned_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    ramp = np.add.outer(np.arange(24) * 6, np.arange(36) * 2).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100} if suffix == "jpg" else {"lossless": True} if suffix == "webp" else {}
    path = save(tmp_path, Image.fromarray(np.dstack([ramp] * 3)), f"o.{suffix}", exif=exif, **options)
    with Image.open(path) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored))
    assert peek(path) == Picture(*expected.shape[:2], 3)
    np.testing.assert_array_equal(decode(path, *expected.shape[:2], 3), expected.transpose(2, 0, 1))


def test_a_damaged_orientation_is_passed_over(tmp_path: Path) -> None:
    path = save(tmp_path, Image.fromarray(COLOUR), "o.jpg", exif=b"Exif\0\0XXnonsense")
    assert peek(path) == Picture(24, 36, 3)


def test_other_sizes_are_fitted_between_borders_of_the_mean_rim(tmp_path: Path) -> None:
    path = save(tmp_path, Image.fromarray(COLOUR), "c.png")
    pixels = decode(path, 18, 18, 3)
    inner = np.asarray(Image.fromarray(COLOUR).resize((18, 12), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(pixels[:, 3:15], inner.transpose(2, 0, 1))
    edge = np.ones((12, 18), dtype=bool)
    edge[1:-1, 1:-1] = False
    border = np.broadcast_to(np.rint(inner[edge].mean(axis=0))[:, None, None], (3, 3, 18))
    np.testing.assert_array_equal(pixels[:, :3], border)
    np.testing.assert_array_equal(pixels[:, 15:], border)
    assert decode(path, 100, 7, 1).shape == (1, 100, 7)


def test_scaling_down_does_not_alias(tmp_path: Path) -> None:
    stripes = np.zeros((64, 64), dtype=np.uint8)
    stripes[:, ::2] = 255
    pixels = decode(save(tmp_path, Image.fromarray(stripes), "s.png"), 8, 8, 1).astype(int)
    assert np.abs(pixels[0, 1:-1, 1:-1] - 127).max() <= 4


def test_a_large_jpeg_is_scaled_as_if_decoded_whole(tmp_path: Path) -> None:
    ramp = np.add.outer(np.linspace(0, 120, 800), np.linspace(0, 120, 1200)).astype(np.uint8)
    whole = Image.fromarray(np.dstack([ramp, ramp[::-1], ramp]))
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path, whole, "j.jpg", quality=95, exif=exif)
    expected = np.asarray(whole.transpose(Image.Transpose.ROTATE_270).resize((40, 60), Image.Resampling.BILINEAR))
    assert np.abs(decode(path, 60, 40, 3).transpose(1, 2, 0) - expected.astype(int)).max() <= 3


def test_files_that_are_no_whole_picture_are_named(tmp_path: Path) -> None:
    whole = save(tmp_path, Image.fromarray(COLOUR), "w.jpg").read_bytes()
    cut = tmp_path / "剪断.jpg"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"剪断\.jpg: cannot be decoded"):
        decode(cut, 24, 36, 3)
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not a picture")
    for read in (peek, lambda path: decode(path, 8, 8, 3)):
        with pytest.raises(DataError, match=r"empty\.png: the file is empty"):
            read(tmp_path / "empty.png")
        with pytest.raises(DataError, match=r"text\.png: is not a picture"):
            read(tmp_path / "text.png")
        with pytest.raises(DataError, match=r"gone\.png: the file is not there"):
            read(tmp_path / "gone.png")
        with pytest.raises(DataError, match="cannot be decoded"):
            read(tmp_path)


@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (10_000, 10_000), (7_100, 7_100)])
def test_a_header_that_declares_too_much_is_refused_with_memory_flat(tmp_path: Path, width: int, height: int) -> None:
    path = huge(tmp_path / "bomb.png", width, height)
    limit = Image.MAX_IMAGE_PIXELS
    with pytest.raises(DataError):
        peek(path)  # what is loaded on first use is loaded now
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    for read in (peek, lambda path: decode(path, 8, 8, 3)):
        with pytest.raises(DataError, match=f"{width * height:,} pixels, above the limit of 50,000,000"):
            read(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident < 8 << 10  # KiB
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp", "tiff", "ppm"])
def test_random_damage_gives_pixels_or_one_error(tmp_path: Path, suffix: str) -> None:
    whole = save(tmp_path, Image.fromarray(COLOUR), f"w.{suffix}").read_bytes()
    path = tmp_path / f"d.{suffix}"
    rng = np.random.default_rng(3)
    for _ in range(60):
        content = np.frombuffer(whole, np.uint8).copy()
        content[rng.integers(0, min(len(whole), 200), 3)] = rng.integers(0, 256, 3)
        path.write_bytes(content.tobytes()[: rng.integers(1, len(whole) + 1)])
        with contextlib.suppress(DataError):
            assert decode(path, 8, 8, 3).shape == (3, 8, 8)


def test_workers_need_not_import_torch() -> None:
    code = "import sys, penstock.data.decode; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
