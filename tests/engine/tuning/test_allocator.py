"""Freed memory is kept inside, given back outside, and nothing breaks where it cannot be."""

from __future__ import annotations

import sys

import pytest

from penstock.engine.tuning import allocator
from penstock.engine.tuning.allocator import keeping_freed_memory


def test_thresholds_are_raised_inside_and_usual_after(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(allocator, "_mallopt", lambda: lambda name, value: asked.append((name, value)))
    with keeping_freed_memory(enabled=True):
        assert asked == [(-3, 1 << 30), (-1, (1 << 31) - 1)]
    assert asked[2:] == [(-3, 128 << 10), (-1, 128 << 10)]


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
