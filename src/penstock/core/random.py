"""Random streams: seeds derived by name, numbers keyed by example, and the global state saved, restored and forked."""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

_MASK = (1 << 63) - 1


def derive(*keys: int | str) -> int:
    """A 63-bit seed that depends on every key and on their order."""
    digest = hashlib.sha256("\x1f".join(map(str, keys)).encode()).digest()
    return int.from_bytes(digest[:8], "little") & _MASK


def seed_all(seed: int) -> None:
    """Seed Python's, NumPy's and torch's global generators."""
    random.seed(seed)
    np.random.seed(seed % (1 << 32))  # noqa: NPY002 - the legacy global state is what a user's own code draws from
    torch.manual_seed(seed)


def keyed_uniform(seed: int, keys: Tensor, draws: int) -> Tensor:
    """Uniform numbers in [0, 1) that depend on nothing but the seed and each key: (B,) integers to (B, draws) float32.

    Which worker, batch or position asks for an example's numbers makes no difference. The mixing is the finaliser of
    SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", section 4).
    """
    counter = keys.to(torch.int64).unsqueeze(1) * draws + torch.arange(draws, device=keys.device)
    state = counter * -7046029254386353131 + seed  # 0x9E3779B97F4A7C15; int64 arithmetic wraps
    for shift, factor in ((30, -4658895280553007687), (27, -7723592293110705685)):
        state = (state ^ _shifted(state, shift)) * factor
    state = state ^ _shifted(state, 31)
    return _shifted(state, 40).to(torch.float32) / (1 << 24)


def _shifted(value: Tensor, bits: int) -> Tensor:
    """A logical shift to the right; torch shifts the sign in."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def random_state() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All global random state, as tensors and as JSON values."""
    kind, words, *rest = np.random.get_state()  # noqa: NPY002
    version, numbers, gauss = random.getstate()
    tensors = {"torch": torch.get_rng_state(), "numpy": torch.from_numpy(np.asarray(words).astype(np.int64))}
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        tensors |= {f"cuda.{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    if torch.backends.mps.is_available():
        tensors["mps"] = torch.mps.get_rng_state()
    return tensors, {"numpy": [kind, *rest], "python": [version, list(numbers), gauss]}


def restore_random_state(tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
    """Put back what `random_state` gave."""
    kind, *rest = values["numpy"]
    np.random.set_state((kind, tensors["numpy"].numpy().astype(np.uint32), *rest))  # noqa: NPY002
    version, numbers, gauss = values["python"]
    random.setstate((version, tuple(numbers), gauss))
    torch.set_rng_state(tensors["torch"])
    if torch.cuda.is_initialized() and "cuda.0" in tensors:  # type: ignore[no-untyped-call]
        torch.cuda.set_rng_state_all([tensors[f"cuda.{i}"] for i in range(torch.cuda.device_count())])
    if torch.backends.mps.is_available() and "mps" in tensors:
        torch.mps.set_rng_state(tensors["mps"])


@contextlib.contextmanager
def forked() -> Iterator[None]:
    """Whatever is drawn inside leaves no trace outside."""
    tensors, values = random_state()
    try:
        yield
    finally:
        restore_random_state(tensors, values)
