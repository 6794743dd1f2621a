"""Several steps a call come to the same as one by one: losses, norms, rates, rows, weights and random numbers."""

from __future__ import annotations

from collections.abc import Callable
from shutil import which
from typing import Any

import pytest
import torch
from torch import nn

from penstock.engine.engine import Engine
from penstock.optim.adam import Adam, AdamW
from penstock.optim.adaptive import Adagrad, RMSprop
from penstock.optim.optimizer import Optimizer
from penstock.optim.schedules import Cosine, Piecewise
from penstock.optim.sgd import SGD

Make = Callable[..., Engine]

DECAYING: dict[str, Any] = {"weight_decay": 0.05, "schedule": Cosine(warmup=0.2)}
RULES: list[Optimizer] = [
    SGD(lr=0.1, momentum=0.0, **DECAYING),
    SGD(lr=0.1, momentum=0.8, **DECAYING),
    SGD(lr=0.1, momentum=0.8, nesterov=True, **DECAYING),
    Adam(lr=0.02, beta1=0.8, beta2=0.95, **DECAYING),
    AdamW(lr=0.02, **DECAYING),
    Adagrad(lr=0.05, **DECAYING),
    RMSprop(lr=0.01, **DECAYING | {"schedule": Piecewise()}),
]
CAREFUL = {"clip_norm": 0.4, "clip_value": 0.05, "ema": 0.9}


def compare(
    family: str, make: Make, recorders: Any, alike: Any, tolerance: float, **options: Any
) -> tuple[Engine, Engine]:
    found = []
    for compiled in ("on", "off"):
        recorder = recorders()
        made = make(family, recorder, compile=compiled, **options)
        made.run()
        assert (made.plan.compile, recorder.lines) == (compiled, [])
        found.append((made, recorder))
    alike(*found, tolerance)
    return found[0][0], found[1][0]


@pytest.mark.parametrize("plan", [{}, CAREFUL], ids=["plain", "careful"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{type(rule).__name__} {getattr(rule, 'momentum', '')}")
def test_every_update_rule(
    rule: Optimizer, plan: dict[str, Any], whole_steps: Any, make_engine: Make, recorders: Any, alike: Any
) -> None:
    calls = whole_steps()
    made, _ = compare("mlp", make_engine, recorders, alike, 1e-8, optimizers={"model": rule}, **plan)
    assert calls == [2, 12]  # evaluated at steps 11, 22 and 29: 3 to 9 is one by one, and so on
    assert not torch.allclose(made.objective.model[0].weight, make_engine("mlp", None).objective.model[0].weight)


@pytest.mark.parametrize("clip", [{"clip_norm": 0.4}, {"clip_value": 0.05}, {"clip_norm": 1e6, "clip_value": 1e6}])
def test_each_way_of_clipping(
    clip: dict[str, float], whole_steps: Any, make_engine: Make, recorders: Any, alike: Any
) -> None:
    whole_steps()
    made, _ = compare("mlp", make_engine, recorders, alike, 1e-8, optimizers={"model": RULES[1]}, **clip)
    free, _ = compare("mlp", make_engine, recorders, alike, 1e-8, optimizers={"model": RULES[1]})
    differs = not torch.allclose(made.objective.model[0].weight, free.objective.model[0].weight, rtol=1e-4)
    assert differs == (max(clip.values()) < 1e6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("family", ["mlp", "norm and dropout", "weighted", "two roles"])
def test_every_family(
    family: str, dtype: torch.dtype, whole_steps: Any, make_engine: Make, recorders: Any, alike: Any
) -> None:
    calls = whole_steps(4)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-8
    compare(family, make_engine, recorders, alike, tolerance, dtype=dtype, steps=30, **CAREFUL)
    assert calls == [2, 6, 12, 16, 23, 27]  # so that it ends with a call


def test_bfloat16(whole_steps: Any, make_engine: Make, recorders: Any, alike: Any) -> None:
    calls = whole_steps(4)
    precise, _ = compare("norm and dropout", make_engine, recorders, alike, 1e-5, dtype=torch.float32)
    kinds: set[torch.dtype] = set()
    original = nn.functional.linear

    def linear(*given: Any) -> Any:
        out = original(*given)
        kinds.add(out.dtype)
        return out

    nn.functional.linear = linear
    try:
        brief, _ = compare("two roles", make_engine, recorders, alike, 1e-5, dtype=torch.float32, precision="bf16")
    finally:
        nn.functional.linear = original
    assert kinds == {torch.bfloat16}
    assert calls == [2, 6, 12, 16, 23] * 2
    assert brief.objective.classifier[0].weight.dtype == precise.objective.model[0].weight.dtype == torch.float32


def test_groups_with_a_ragged_batch_are_made_one_by_one(
    whole_steps: Any, make_engine: Make, recorders: Any, alike: Any
) -> None:
    calls = whole_steps(3)
    compare("norm and dropout", make_engine, recorders, alike, 1e-8, ragged=True, **CAREFUL)
    assert calls == [2, 8, 15, 26]  # epochs end with steps 6, 12, 18 and 24; evaluated at 11, 22 and 29
    calls.clear()
    compare("mlp", make_engine, recorders, alike, 1e-8, ragged=True, evaluate_every=5)
    assert calls == [2, 8, 14, 20, 26]
    calls = whole_steps(6)
    compare("mlp", make_engine, recorders, alike, 1e-8, ragged=True)
    assert calls == []


@pytest.mark.parametrize("log_every", [1, 2, 5, 7, 100])
def test_rows_of_the_log_within_a_call(
    log_every: int, whole_steps: Any, make_engine: Make, recorders: Any, alike: Any
) -> None:
    calls = whole_steps()
    compare("two roles", make_engine, recorders, alike, 1e-8, log_every=log_every)
    assert calls


@pytest.mark.parametrize("family", ["norm and dropout", "weighted", "two roles"])
def test_as_dynamo_sees_it(family: str, whole_steps: Any, make_engine: Make, recorders: Any, alike: Any) -> None:
    calls = whole_steps(2, backend="aot_eager")
    compare(family, make_engine, recorders, alike, 1e-8, steps=6, log_every=1, **CAREFUL)
    assert calls == [2, 4]


def test_an_engine_neither_finds_nor_disturbs_what_another_compiled(
    whole_steps: Any, make_engine: Make, recorders: Any, alike: Any
) -> None:
    calls = whole_steps(2, backend="eager")
    plans: list[dict[str, Any]] = [{}, {"clip_norm": 0.1}]
    together = []
    for plan in plans:
        recorder = recorders()
        together.append((make_engine("mlp", recorder, compile="on", steps=3, **plan), recorder))
    together[0][0].run()
    together[1][0].run()
    assert calls == [2, 2]
    for (made, recorder), plan in zip(together, plans, strict=True):
        assert (made.plan.compile, recorder.lines) == ("on", [])
        watcher = recorders()
        alone = make_engine("mlp", watcher, compile="off", steps=3, **plan)
        alone.run()
        torch.testing.assert_close(made.objective.state_dict(), alone.objective.state_dict(), rtol=1e-8, atol=1e-8)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inductor's own, of parts of torch that it uses
@pytest.mark.skipif(which("g++") is None, reason="inductor needs a C++ compiler, and there is no g++")
def test_with_the_compiler_itself(
    whole_steps: Any, make_engine: Make, recorders: Any, alike: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from penstock.engine.tuning import whole_step

    compiler = whole_step.COMPILER
    calls = whole_steps(2)
    monkeypatch.setattr(whole_step, "COMPILER", compiler)
    assert compiler["backend"] == "inductor"
    compare("weighted", make_engine, recorders, alike, 1e-5, steps=5, dtype=torch.float32, **CAREFUL)
    assert calls == [2, 4]
