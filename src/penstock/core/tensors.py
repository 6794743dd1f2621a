"""Tensors in safetensors files: written whole and flushed, read with a clear error. Nothing here can execute code."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save, save_file
from torch import Tensor

from penstock.core.errors import CheckpointError

_OTHER = "use the recipe or the model that wrote it"


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors of any device and layout, and flush them to the disk. Raises OSError where the disk refuses."""
    path.touch()
    mode = path.stat().st_mode  # the library would leave a file that its owner alone can read
    try:
        save_file(_own(tensors), path)
    except SafetensorError as error:
        raise OSError(_reason(error)) from error
    path.chmod(mode)
    with path.open("rb") as file:
        os.fsync(file.fileno())


def size_of(tensors: Mapping[str, Tensor]) -> int:
    """The bytes that the tensors' numbers take."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def _reason(error: SafetensorError) -> str:
    """What the system said, as Python says it."""
    found = re.search(r"os error (\d+)", str(error))
    return os.strerror(int(found[1])) if found else str(error)


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


def copy_all_checked(targets: Mapping[str, Tensor], saved: Mapping[str, Tensor], where: str) -> None:
    """Copy each tensor to that of the same name, once all are known to fit.

    Raises CheckpointError with the first that is missing, of another shape or type, or has no place.
    """
    check_all_fit(targets, saved, where)
    with torch.no_grad():
        for key, target in targets.items():
            target.copy_(saved[key])


def check_all_fit(targets: Mapping[str, Tensor], saved: Mapping[str, Tensor], where: str) -> None:
    """Raises CheckpointError as `copy_all_checked` does, and copies nothing."""
    for key, target in targets.items():
        value = saved.get(key)
        if value is None:
            raise CheckpointError(where, f"{key!r} is missing", _OTHER)
        if value.shape != target.shape or value.dtype != target.dtype:
            problem = f"{key!r} is {_form(value)} in the file, {_form(target)} in the model"
            raise CheckpointError(where, problem, _OTHER)
    if foreign := sorted(saved.keys() - targets.keys()):
        raise CheckpointError(where, f"{foreign[0]!r} has no place in the model", _OTHER)


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def joined(groups: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of all groups, named "group/name"."""
    return {f"{group}/{name}": tensor for group, tensors in groups.items() for name, tensor in tensors.items()}


def grouped(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The reverse of `joined`."""
    groups: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        group, _, name = key.partition("/")
        groups.setdefault(group, {})[name] = tensor
    return groups


def _own(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each tensor with memory of its own: views of one flat tensor share it, which the format refuses."""
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}


def _form(value: Tensor) -> str:
    return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
