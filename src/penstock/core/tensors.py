"""Tensors in safetensors files: written whole and flushed, read with a clear error. Nothing here can execute code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save, save_file
from torch import Tensor

from penstock.core.errors import CheckpointError


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors of any device and layout, and flush them to the disk. Raises OSError where the disk refuses."""
    try:
        save_file(_own(tensors), path)
    except SafetensorError as error:
        raise OSError(str(error)) from error
    with path.open("rb") as file:
        os.fsync(file.fileno())


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read what `save_tensors` wrote. Raises CheckpointError where the file is missing or damaged."""
    try:
        return load_file(path)
    except FileNotFoundError:
        raise CheckpointError(path, "this file is missing", "check the path of the run, or train again") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(path, f"not a sound safetensors file ({error})", "restore it, or train again") from error


def to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors of any device and layout in the form that `save_tensors` writes."""
    return save(_own(tensors))


def from_bytes(content: bytes) -> dict[str, Tensor]:
    """What `to_bytes` was given, on the processor."""
    return load(content)


def copy_checked(target: Tensor, saved: Mapping[str, Tensor], key: str, where: str) -> None:
    """Copy `saved[key]` into `target`. Raises CheckpointError where it is missing or of another shape or type."""
    value = saved.get(key)
    if value is None:
        raise CheckpointError(where, f"{key!r} is missing", "use the recipe or the model that wrote it")
    if value.shape != target.shape or value.dtype != target.dtype:
        raise CheckpointError(
            where,
            f"{key!r} is {_form(value)} in the file, {_form(target)} in the model",
            "use the recipe or the model that wrote it",
        )
    with torch.no_grad():
        target.copy_(value)


def _own(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each tensor with memory of its own: views of one flat tensor share it, which the format refuses."""
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}


def _form(value: Tensor) -> str:
    return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
