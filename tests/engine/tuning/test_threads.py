"""Threads are set for a while, and then as before."""

from __future__ import annotations

import pytest
import torch

from penstock.core.machine import cores
from penstock.engine.tuning.threads import set_threads, using_threads


def test_threads_inside_and_as_before_outside() -> None:
    before = torch.get_num_threads()
    with using_threads(before + 2):
        assert torch.get_num_threads() == before + 2
        with using_threads(None):
            assert torch.get_num_threads() == before + 2
    assert torch.get_num_threads() == before
    with pytest.raises(KeyError), using_threads(before + 1):
        raise KeyError
    assert torch.get_num_threads() == before


def test_set_for_good() -> None:
    before = torch.get_num_threads()
    try:
        assert set_threads(3) == torch.get_num_threads() == 3
        assert set_threads(None) == cores()
    finally:
        torch.set_num_threads(before)
