"""Freed memory is kept inside, given back outside, and nothing breaks where it cannot be."""

from __future__ import annotations

import sys

import pytest
import torch

from penstock.engine.tuning import allocator
from penstock.engine.tuning.allocator import keeping_freed_memory

MIB = 1 << 20


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


@pytest.mark.skipif(sys.platform != "linux" or allocator._mallopt() is None, reason="glibc's allocator is not there")
def test_freed_memory_is_kept_inside_and_given_back_after() -> None:
    with keeping_freed_memory(enabled=True):
        value = torch.ones(64 * MIB // 4)
        held = resident()
        del value
        assert held - resident() < 16 * MIB
    assert held - resident() > 48 * MIB


def test_switched_off_or_elsewhere_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(allocator, "_mallopt", lambda: lambda name, value: asked.append((name, value)))
    with keeping_freed_memory(enabled=False):
        pass
    assert asked == []
    monkeypatch.undo()
    monkeypatch.setattr(sys, "platform", "darwin")
    with keeping_freed_memory(enabled=True):
        assert allocator._mallopt() is None
