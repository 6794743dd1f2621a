"""Running out of memory is told apart from other errors, whoever reports it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from penstock.core.memory import ran_out

MORE_THAN_ANY_MACHINE = 1 << 55


def raised_by_torch() -> object:
    return torch.empty(MORE_THAN_ANY_MACHINE)


def raised_by_numpy() -> object:
    return np.empty(MORE_THAN_ANY_MACHINE)


def raised_by_python() -> object:
    return bytes(MORE_THAN_ANY_MACHINE)


@pytest.mark.parametrize("allocate", [raised_by_torch, raised_by_numpy, raised_by_python])
def test_real_allocations_that_fail(allocate: object) -> None:
    with pytest.raises((MemoryError, RuntimeError)) as caught:
        allocate()  # type: ignore[operator]
    assert ran_out(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("whatever"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
        RuntimeError("std::bad_alloc"),
        MemoryError(),
    ],
)
def test_what_allocators_say(error: Exception) -> None:
    assert ran_out(error)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("out of memory"), OSError("out of memory")],
)
def test_other_errors(error: Exception) -> None:
    assert not ran_out(error)
