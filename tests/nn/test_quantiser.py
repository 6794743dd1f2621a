"""The codebook against its definition, worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from penstock.core.errors import RecipeError
from penstock.nn.quantiser import SELDOM, Quantiser


def quantiser(**options: object) -> Quantiser:
    torch.manual_seed(0)
    return Quantiser(**{"codes": 4, "width": 3, "decay": 0.9} | options).double()


def begun() -> Quantiser:
    """With entries that are far apart, and all in use."""
    made = quantiser().train()
    made.codebook.copy_(torch.tensor([[0.0, 0, 0.1], [9, 0, 0], [0, 9, 0], [0, 0, 9]]))
    made.uses.fill_(5.0)
    made.sums.copy_(made.codebook * 5)
    made.begun.fill_(True)
    return made


def near(made: Quantiser, numbers: list[int]) -> Tensor:
    return made.codebook[numbers] + torch.rand(len(numbers), 3, dtype=torch.float64)


def test_each_vector_is_taken_to_the_nearest_entry() -> None:
    made = quantiser().eval()
    x = torch.randn(5, 7, 3, dtype=torch.float64)
    entries, found = made(x)
    away = torch.cdist(x.flatten(0, 1), made.codebook)
    assert torch.equal(found.flatten(), away.argmin(1))
    torch.testing.assert_close(entries, made.codebook[found], rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(made.entries(found), made.codebook[found], rtol=0, atol=0)


def test_the_gradient_goes_straight_through() -> None:
    made = quantiser()
    x = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    entries, _ = made(x)
    weights = torch.randn(6, 3, dtype=torch.float64)
    (entries.square() * weights).sum().backward()
    torch.testing.assert_close(x.grad, 2 * entries.detach() * weights, rtol=1e-12, atol=0)


def test_entries_are_moving_averages() -> None:
    made = begun()
    uses, sums = made.uses.clone(), made.sums.clone()
    for numbers in ([0, 0, 1, 3], [2, 1, 1, 0, 0, 3]):
        x = near(made, numbers)
        _, found = made(x)
        assert found.tolist() == numbers
        before = made.codebook.clone()
        made.stepped()
        for k in range(4):
            own = x[torch.tensor(numbers) == k]
            uses[k] = 0.9 * uses[k] + 0.1 * len(own)
            sums[k] = 0.9 * sums[k] + 0.1 * own.sum(0)
        torch.testing.assert_close(made.codebook, sums / uses[:, None], rtol=1e-12, atol=0)
        assert not torch.equal(made.codebook, before)


def test_parts_of_a_batch_are_the_batch() -> None:
    whole, parted = begun(), begun()
    x = near(whole, [0, 1, 2, 3, 3, 1, 0])
    whole(x)
    for part in x.split(3):
        parted(part)
    for made in (whole, parted):
        made.stepped()
    torch.testing.assert_close(parted.codebook, whole.codebook, rtol=1e-14, atol=0)


def test_the_first_batch_gives_the_places() -> None:
    made = quantiser().train()
    x = torch.randn(50, 3, dtype=torch.float64) + 20
    made(x)
    assert float((made.codebook - 20).abs().min()) > 10  # a look moves nothing
    made.stepped()
    assert all((x == entry).all(1).any() for entry in made.codebook)
    assert made.uses.tolist() == [12.5] * 4
    made(x)
    made.stepped()
    assert made.uses.sum() == pytest.approx(50)


def test_an_entry_that_is_hardly_used_gets_a_new_place() -> None:
    made = begun()
    steps = 0
    while float((made.codebook[3] - torch.tensor([0.0, 0, 9])).abs().max()) < 1e-9:
        x = near(made, [0, 1, 2] * 4)
        made(x)
        made.stepped()
        steps += 1
    share = 5 * 0.9**steps / ((20 * 0.9**steps + 12 * (1 - 0.9**steps)) / 4)
    before = 5 * 0.9 ** (steps - 1) / ((20 * 0.9 ** (steps - 1) + 12 * (1 - 0.9 ** (steps - 1))) / 4)
    assert share <= SELDOM < before
    assert (x == made.codebook[3]).all(1).any()
    assert made.uses[3] == pytest.approx(float(made.uses[:3].sum()) / 4, rel=0.02)  # the average use


def test_nothing_moves_in_evaluation_or_without_a_batch() -> None:
    made = begun()
    before = {name: value.clone() for name, value in made.state_dict().items()}
    made.eval()(near(made, [0, 2]))
    made.stepped()
    made.train().stepped()
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())


def test_zeros_are_padding() -> None:
    made, other = begun(), begun()
    x = near(made, [0, 1, 2, 3])
    padded = torch.cat([x, torch.zeros(3, 3, dtype=torch.float64)])
    entries, found = made(padded)
    assert found.tolist() == [0, 1, 2, 3, -1, -1, -1]
    assert not entries[4:].any()
    assert not made.entries(found)[4:].any()
    other(x)
    for one in (made, other):
        one.stepped()
    torch.testing.assert_close(made.codebook, other.codebook, rtol=0, atol=0)
    assert made.spare.any(1).all()


def test_half_precision_finds_the_same_entries() -> None:
    made = quantiser().float().eval()
    x = (torch.randn(64, 3) * 3).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        entries, found = made(x)
    assert torch.equal(found, made(x.float())[1])
    assert entries.dtype == torch.bfloat16


def test_a_square_is_covered_nearly_as_well_as_it_can_be() -> None:
    generator = torch.Generator().manual_seed(0)
    made = quantiser(codes=16, width=2).train()
    for _ in range(200):
        x = torch.rand(256, 2, generator=generator, dtype=torch.float64) + 30
        entries, _ = made(x)
        made.stepped()
    error = float((x - entries).square().sum(1).mean())
    assert error < 0.012  # 16 equal squares: 2 / 12 / 16 = 0.0104


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    with pytest.raises(RecipeError, match="train it in one process"):
        begun()(torch.ones(2, 3))


@pytest.mark.parametrize("options", [{"codes": 0}, {"width": 0}, {"decay": 1.0}])
def test_settings_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match=f"{next(iter(options))} is "):
        quantiser(**options)


def test_another_width_is_refused() -> None:
    with pytest.raises(RecipeError, match="3 numbers a vector and was given 2"):
        quantiser()(torch.ones(4, 2))
