"""The loop against loops written by hand with torch.optim: same batches, same numbers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.core.batch import Batch
from penstock.core.objective import Evaluation, Objective, Update
from penstock.data.examples import InMemory
from penstock.data.sources import Shuffled
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.objectives.supervised import Classification
from penstock.optim.adam import AdamW
from penstock.optim.optimizer import Optimizer
from penstock.optim.schedules import Cosine
from penstock.optim.sgd import SGD

STEPS = 50
COUNT = 45


def points(dtype: torch.dtype = torch.float32) -> Shuffled:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(COUNT, 6, generator=generator, dtype=torch.float64)
    target = (x[:, 0] * x[:, 1] > 0).long()
    return Shuffled(InMemory({"x": x.to(dtype), "target": target}), torch.arange(COUNT), batch_size=8, seed=3)


def network(dtype: torch.dtype = torch.float32, dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 16), nn.LayerNorm(16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 2)).to(dtype)


EXPLICIT: dict[str, Any] = {"precision": "float32", "compile": "off", "onednn": "off", "threads": 1}
"""Nothing is left to choose by rule: these objectives write down each call, and a look at their work would be one."""


def train(model: nn.Module, source: Shuffled, optimizer: Optimizer | None = None, **plan: Any) -> Engine:
    plan = EXPLICIT | {"steps": STEPS, "keep": "last", "device": "cpu"} | plan
    engine = Engine(Classification(model, ["x"]), source, Plan(**plan), {"model": optimizer or AdamW(lr=0.02)})
    engine.run()
    return engine


def by_hand(model: nn.Module, source: Shuffled, **change: Any) -> nn.Module:
    """The same with torch.optim.AdamW, two groups of parameters, warm-up and cosine."""
    weights = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": weights, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, fused=True)
    model.train()
    for step in range(STEPS):
        progress = (step + 0.5) / STEPS
        factor = progress / 0.2 if progress < 0.2 else (1 + math.cos(math.pi * (progress - 0.2) / 0.8)) / 2
        for group in optimizer.param_groups:
            group["lr"] = 0.02 * factor
        batch = next(source)
        optimizer.zero_grad()
        functional.cross_entropy(model(batch["x"]), batch["target"]).backward()
        if "norm" in change:
            nn.utils.clip_grad_norm_(model.parameters(), change["norm"])
        if "value" in change:
            nn.utils.clip_grad_value_(model.parameters(), change["value"])
        optimizer.step()
    return model.eval()


def compare(model: nn.Module, expected: nn.Module, tolerance: float) -> None:
    for (name, value), reference in zip(model.state_dict().items(), expected.state_dict().values(), strict=True):
        torch.testing.assert_close(value, reference, rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_fifty_steps_as_written_by_hand(dtype: torch.dtype, tolerance: float, dropout: float) -> None:
    adamw = AdamW(lr=0.02, weight_decay=0.1, schedule=Cosine(warmup=0.2))
    model, expected = network(dtype, dropout), network(dtype, dropout)
    torch.manual_seed(2)
    train(model, points(dtype), adamw)
    torch.manual_seed(2)
    compare(model, by_hand(expected, points(dtype)), tolerance)
    assert not torch.allclose(expected[0].weight, network(dtype)[0].weight, atol=0.05)


@pytest.mark.parametrize(
    ("plan", "change"),
    [
        ({"clip_norm": 0.3}, {"norm": 0.3}),
        ({"clip_value": 0.02}, {"value": 0.02}),
        ({"clip_norm": 0.3, "clip_value": 0.02}, {"norm": 0.3, "value": 0.02}),
        ({"clip_norm": 1e6, "clip_value": 1e6}, {}),
    ],
)
def test_clipping_as_in_torch(plan: dict[str, float], change: dict[str, float]) -> None:
    adamw = AdamW(lr=0.02, weight_decay=0.1, schedule=Cosine(warmup=0.2))
    model, plain = network(torch.float64), network(torch.float64)
    train(model, points(torch.float64), adamw, **plan)
    compare(model, by_hand(network(torch.float64), points(torch.float64), **change), 1e-12)
    if change:
        train(plain, points(torch.float64), adamw)
        assert not torch.allclose(plain[0].weight, model[0].weight)


def test_without_the_fused_kernel_nearly_the_same() -> None:
    fused, plain = network(torch.float64), network(torch.float64)
    train(fused, points(torch.float64))
    engine = train(plain, points(torch.float64), fused=False)
    compare(plain, fused, 1e-10)
    assert engine.stepper.roles["model"]._update == engine.stepper.roles["model"].optimizer.update


def test_bf16_runs_layers_in_bfloat16_and_comes_near() -> None:
    seen: list[torch.dtype] = []
    model, reference = network(), network()
    model[0].register_forward_hook(lambda module, given, out: seen.append(out.dtype))
    train(reference, points())
    engine = train(model, points(), precision="bf16")
    assert set(seen) == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    difference = torch.cat([(a - b).flatten() for a, b in zip(model.parameters(), reference.parameters(), strict=True)])
    size = torch.cat([p.flatten() for p in reference.parameters()]).norm()
    assert 0 < difference.norm() < 0.1 * size
    before = len(seen)
    engine.evaluate([next(points())])
    assert seen[before:] == [torch.bfloat16]


@pytest.mark.parametrize("tiles", [True, False])
def test_convolutions_are_laid_out_by_processor_and_train_alike(tiles: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_tile": tiles}, raising=False)

    def make() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
        ).double()

    images = torch.randn(24, 3, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    stored = InMemory({"x": images, "target": torch.arange(24) % 2})

    def source() -> Shuffled:
        return Shuffled(stored, torch.arange(24), batch_size=8, seed=0)

    model, expected = make(), make()
    names = list(model.state_dict())
    train(model, source(), AdamW(lr=0.02, weight_decay=0.1, schedule=Cosine(warmup=0.2)))
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last) == tiles
    assert list(model.state_dict()) == names
    compare(model, by_hand(expected, source()), 1e-9)
    assert int(model[1].num_batches_tracked) == STEPS


class Watched(Objective):
    """Notes what the engine does to it; a trained model, a teacher that is not to be trained."""

    def __init__(self, frozen: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
        self.teacher = nn.Sequential(nn.Linear(6, 2), nn.Dropout())
        self.model[0].requires_grad_(not frozen)
        self.modes: set[tuple[bool, bool, bool]] = set()
        self.seen: list[float] = []
        self.calls: list[str] = []
        self.weights: list[Tensor] = []

    def loss(self, batch: Batch) -> Update:
        self.modes.add((self.model.training, self.model[1].training, self.teacher.training))
        self.seen.append(self.progress)
        self.calls.append("loss")
        return Update(functional.mse_loss(self.model(batch["x"]), self.teacher(batch["x"])), weight=batch.size)

    def stepped(self) -> None:
        self.calls.append("stepped")
        self.weights.append(torch.cat([v.detach().flatten().float() for v in self.model.state_dict().values()]))

    def evaluate(self, source: object) -> Evaluation:
        self.calls.append("evaluate")
        assert not any(module.training for module in self.modules())
        assert not torch.is_grad_enabled()
        return Evaluation({"loss": 1.0})


def watch(objective: Objective, **plan: Any) -> Engine:
    validation = plan.pop("validation", None)
    plan = EXPLICIT | {"steps": 10, "device": "cpu", "keep": "last"} | plan
    engine = Engine(objective, points(), Plan(**plan), {"model": SGD(lr=0.05)}, validation=validation)
    engine.run()
    return engine


def test_only_the_roles_are_in_training_mode_also_after_evaluations() -> None:
    objective = Watched()
    watch(objective, validation=[next(points())], evaluate_every=0.5)
    assert "evaluate" in objective.calls[:-1]
    assert objective.modes == {(True, True, False)}
    assert not any(module.training for module in objective.modules())


def test_stepped_is_called_once_after_each_step_and_progress_is_that_of_the_steps_middle() -> None:
    objective = Watched()
    watch(objective)
    assert objective.calls == ["loss", "stepped"] * 10
    assert objective.seen == pytest.approx([(i + 0.5) / 10 for i in range(10)])
    accumulated = Watched()
    accumulated.model[1] = nn.Identity()
    watch(accumulated, accumulate=3)
    assert accumulated.calls == (["loss"] * 3 + ["stepped"]) * 10


def test_what_is_not_in_a_role_or_frozen_does_not_move() -> None:
    objective = Watched(frozen=True)
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    watch(objective)
    moved = {name for name, value in objective.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {
        *(f"model.1.{name}" for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")),
        *("model.2.weight", "model.2.bias"),
    }
    assert all(p.grad is None for p in objective.model[0].parameters())


def test_nobody_elses_gradients_are_computed() -> None:
    objective = Watched()
    watch(objective)
    assert all(p.requires_grad and p.grad is None for p in objective.teacher.parameters())


def test_shared_weights_move_once_as_by_hand() -> None:
    def make() -> nn.Module:
        torch.manual_seed(0)
        first, second = nn.Linear(6, 6), nn.Linear(6, 6)
        second.weight = first.weight
        return nn.Sequential(first, nn.Tanh(), second, nn.Linear(6, 2)).double()

    model, expected = make(), make()
    train(model, points(torch.float64), AdamW(lr=0.02, weight_decay=0.1, schedule=Cosine(warmup=0.2)))
    compare(model, by_hand(expected, points(torch.float64)), 1e-12)
    assert model[2].weight is model[0].weight


@pytest.mark.parametrize("decay", [0.5, 0.9])
def test_the_moving_average_is_its_formula_for_weights_and_batch_statistics(decay: float) -> None:
    objective = Watched()
    start = torch.cat([v.detach().flatten().float() for v in objective.model.state_dict().values()])
    engine = watch(objective, ema=decay)
    mean = start
    for step, live in enumerate(objective.weights, 1):
        rate = min(decay, (1 + step) / (10 + step))
        mean = rate * mean + (1 - rate) * live
    final = torch.cat([v.detach().flatten().float() for v in objective.model.state_dict().values()])
    counter = list(objective.model.state_dict()).index("1.num_batches_tracked")
    keep = torch.ones_like(final, dtype=torch.bool)
    keep[sum(v.numel() for v in list(objective.model.state_dict().values())[:counter])] = False  # counts whole batches
    torch.testing.assert_close(final[keep], mean[keep], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(final[keep], objective.weights[-1][keep], rtol=1e-3)
    assert engine.average is not None


def test_evaluations_see_the_average_and_training_goes_on_with_the_weights() -> None:
    class Evaluated(Watched):
        def evaluate(self, source: object) -> Evaluation:
            self.found = [*getattr(self, "found", []), self.model[2].weight.detach().clone()]
            return Evaluation({"loss": 1.0})

    objective, plain = Evaluated(), Watched()
    engine = watch(objective, ema=0.5, evaluate_every=0.5, validation=[])
    watch(plain)
    torch.testing.assert_close(torch.stack(objective.weights), torch.stack(plain.weights), rtol=0, atol=0)
    assert torch.equal(objective.found[-1], objective.model[2].weight)  # the average of the end is kept
    live = objective.weights[-1][-10:-2].view(2, 4)
    assert not torch.equal(live, objective.model[2].weight)
    engine.evaluate([])
    assert torch.equal(objective.found[-1], objective.model[2].weight)  # and not averaged twice
