"""Tensors through safetensors files: every layout and type comes back; damage is refused in one line."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from penstock.core.errors import CheckpointError
from penstock.core.tensors import grouped, joined, load_tensors, save_tensors, under


def sample() -> dict[str, Tensor]:
    flat = torch.randn(64)
    return {
        "层.weight": flat[:12].view(3, 4),
        "overlapping": flat[6:20],
        "strided": flat.as_strided((2, 3, 2, 2), (12, 1, 6, 3), 16),
        "transposed": torch.randn(5, 3).T,
        "expanded": torch.randn(1, 3).expand(4, 3),
        "channels_last": torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        "scalar": torch.tensor(3.5, dtype=torch.float64),
        "empty": torch.zeros(0, 3),
        "half": torch.randn(3).bfloat16(),
        "bytes": torch.arange(7, dtype=torch.uint8),
        "truth": torch.tensor([True, False]),
        "count": torch.tensor(2**60),
        "not finite": torch.tensor([torch.nan, torch.inf]),
    }


def test_every_layout_and_type_comes_back(tmp_path: Path) -> None:
    tensors = sample() | {"trained": torch.randn(3, requires_grad=True)}
    save_tensors(tmp_path / "张量.safetensors", tensors)
    back = load_tensors(tmp_path / "张量.safetensors")
    assert set(back) == set(tensors)
    for name, value in tensors.items():
        assert back[name].dtype == value.dtype
        assert not back[name].requires_grad
        torch.testing.assert_close(back[name], value.detach(), rtol=0, atol=0, equal_nan=True)


def test_what_stands_under_a_prefix() -> None:
    one, two = torch.ones(1), torch.zeros(2)
    assert under("a.", {"a.b": one, "b.a.c": two, "a.a.b": two, "ab": one}) == {"b": one, "a.b": two}


def test_groups_come_back() -> None:
    one, two = torch.ones(1), torch.zeros(2)
    flat = joined({"a": {"x/y": one, "x": two}, "b": {"x": one}, "none": {}})
    assert flat == {"a/x/y": one, "a/x": two, "b/x": one}
    assert grouped(flat) == {"a": {"x/y": one, "x": two}, "b": {"x": one}}


def test_no_tensor_is_a_file_too(tmp_path: Path) -> None:
    save_tensors(tmp_path / "none", {})
    assert load_tensors(tmp_path / "none") == {}


def test_others_can_read_the_file(tmp_path: Path) -> None:
    tensors = sample()
    save_tensors(tmp_path / "a", tensors)
    with safe_open(tmp_path / "a", "pt") as file:
        torch.testing.assert_close(file.get_tensor("strided"), tensors["strided"], rtol=0, atol=0)


def test_a_missing_file_is_a_checkpoint_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"缺\.safetensors: this file is missing; "):
        load_tensors(tmp_path / "缺.safetensors")


def test_truncation_and_a_damaged_header_are_checkpoint_errors_and_nothing_else_escapes(tmp_path: Path) -> None:
    save_tensors(tmp_path / "sound", sample())
    sound = (tmp_path / "sound").read_bytes()
    header = 8 + int.from_bytes(sound[:8], "little")
    chance = random.Random(0)
    place = tmp_path / "damaged"
    for length in [
        0,
        1,
        7,
        8,
        9,
        header - 1,
        header,
        len(sound) - 1,
        *(chance.randrange(len(sound)) for _ in range(20)),
    ]:
        place.write_bytes(sound[:length])
        with pytest.raises(CheckpointError, match="not a sound safetensors file"):
            load_tensors(place)
    refused = 0
    for _ in range(200):
        damaged = bytearray(sound)
        damaged[chance.randrange(header)] ^= 1 << chance.randrange(8)
        place.write_bytes(damaged)
        try:
            load_tensors(place)  # a flip within a name goes unnoticed here: manifests are for that
        except CheckpointError:
            refused += 1
    assert refused > 100
