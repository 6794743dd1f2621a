"""What is chosen on which processor for which work: each boundary of each rule, and what the user gave stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from penstock.core.machine import cores
from penstock.data.examples import InMemory
from penstock.data.sources import Shuffled
from penstock.engine.checkpoint import Checkpoints
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.engine.tuning import rules
from penstock.engine.tuning.rules import described, is_settled, settle, settled_choices, with_choices
from penstock.engine.tuning.work import Work
from penstock.objectives.supervised import Classification
from penstock.optim.sgd import SGD

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")
AMD = {"cpu_name": "AMD EPYC", "avx512_bf16": True, "amx_bf16": False}
INTEL = {"cpu_name": "Intel(R) Xeon(R)", "avx512_bf16": False, "amx_bf16": True}
PLAIN = {"cpu_name": "Intel(R) Core(TM)", "avx512_bf16": False, "amx_bf16": False}
OLD_AMD = {"cpu_name": "AMD Ryzen", "avx512_bf16": False, "amx_bf16": False}
UNKNOWN: dict[str, Any] = {}
OPEN = Plan(epochs=1)
BIG = Work(total=10**9, wide=10**9, large=frozenset({(1000, 1000, 1000)}))
TINY = Work(total=100_000, wide=50_000)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Pretends to be on a machine; the shapes that were measured are written down."""
    asked: list[Any] = []

    def arrange(
        able: dict[str, Any], *, exact: bool = True, compiler: str | None = "/usr/bin/g++", count: int = 4
    ) -> list[Any]:
        def measured(shapes: Any) -> bool:
            asked.append(shapes)
            return exact

        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
        monkeypatch.setattr(rules, "exact_here", measured)
        monkeypatch.setattr(rules, "which", lambda name: compiler if name == "g++" else None)
        monkeypatch.setattr(rules, "cores", lambda: count)
        return asked

    return arrange


def chosen(work: Work, steps: int | None = 1000, device: torch.device = CPU, **given: Any) -> dict[str, Any]:
    plan = settle(Plan(epochs=1, **given), work, steps, device)
    assert is_settled(plan)
    assert plan.model_copy(update=OPEN.model_dump(include=set(rules.CHOICES))) == Plan(
        epochs=1, **{name: value for name, value in given.items() if name not in rules.CHOICES}
    )
    return settled_choices(plan)


WIDE_ENOUGH = Work(total=5_000_000, wide=4_000_000)


@pytest.mark.parametrize(
    ("able", "work", "precision"),
    [
        (AMD, WIDE_ENOUGH, "bf16"),
        (INTEL, WIDE_ENOUGH, "bf16"),
        (PLAIN, WIDE_ENOUGH, "float32"),
        (UNKNOWN, WIDE_ENOUGH, "float32"),
        (AMD, Work(total=5_000_000, wide=3_999_999), "float32"),
        (AMD, Work(total=4_000_000, wide=4_000_000), "bf16"),
        (AMD, Work(total=3_999_999, wide=3_999_999), "float32"),
        (AMD, Work(total=10**9, wide=999_999_999, attention=1), "float32"),
        (AMD, Work(total=10**9, wide=10**9, convolution=10**9), "bf16"),
    ],
)
def test_bfloat16_where_layers_and_processor_gain(
    able: dict[str, Any], work: Work, precision: str, machine: Any
) -> None:
    machine(able)
    assert chosen(work)["precision"] == precision


@pytest.mark.parametrize("able", [False, True])
def test_bfloat16_on_other_devices(able: bool, machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(AMD)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: able or including_emulation)
    attending = Work(total=10**9, wide=9 * 10**8, attention=10**8)
    assert chosen(attending, device=CUDA)["precision"] == ("bf16" if able else "float32")
    assert chosen(TINY, device=CUDA)["precision"] == "float32"
    assert chosen(BIG, device=MPS)["precision"] == "float32"
    for device in (CUDA, MPS):
        assert chosen(BIG, 10**9, device) | {"precision": ""} == {
            "precision": "",
            "compile": "off",
            "onednn": "off",
            "threads": 4,
        }


@pytest.mark.parametrize(
    ("work", "steps", "given", "compiled"),
    [
        (TINY, 400_000, {}, "on"),
        (TINY, 399_999, {}, "off"),
        (TINY, None, {}, "off"),
        (Work(total=6_000_000), 400_000, {}, "on"),
        (Work(total=6_000_001), 400_000, {}, "off"),
        (Work(total=100_000, convolution=1), 400_000, {}, "off"),
        (TINY, 400_000, {"accumulate": 2}, "off"),
    ],
)
def test_compiled_where_the_network_is_tiny_and_the_training_long(
    work: Work, steps: int | None, given: dict[str, Any], compiled: str, machine: Any
) -> None:
    machine(PLAIN)
    assert chosen(work, steps, **given)["compile"] == compiled


def test_not_compiled_without_a_compiler(machine: Any) -> None:
    machine(PLAIN, compiler=None)
    assert chosen(TINY, 400_000)["compile"] == "off"


NARROW = Work(total=10**9, wide=0, large=frozenset({(4000, 50, 50)}))


def test_onednn_where_mkl_is_slow_and_it_is_exact(machine: Any) -> None:
    asked = machine(OLD_AMD)
    assert chosen(BIG)["onednn"] == "on"
    assert asked == [BIG.large]
    for able in (PLAIN, INTEL, UNKNOWN):
        machine(able)
        assert chosen(NARROW)["onednn"] == "off"
    machine(OLD_AMD)
    assert chosen(Work(total=10**9))["onednn"] == "off"
    assert len(asked) == 1  # nothing is measured where the answer is known
    machine(OLD_AMD, exact=False)
    assert chosen(BIG)["onednn"] == "off"
    assert len(asked) == 2


def test_onednn_is_for_single_precision_that_is_not_compiled(machine: Any) -> None:
    asked = machine(AMD)
    assert chosen(BIG)["onednn"] == "off"
    assert chosen(BIG, precision="bf16")["onednn"] == "off"
    assert chosen(BIG, compile="on", precision="float32")["onednn"] == "off"
    assert asked == []
    assert chosen(BIG, precision="float32")["onednn"] == "on"
    assert chosen(NARROW)["onednn"] == "on"


@pytest.mark.parametrize(
    ("total", "threads"),
    [(0, 1), (60_000_000, 1), (119_999_999, 1), (120_000_000, 2), (239_999_999, 3), (240_000_000, 4), (10**12, 4)],
)
def test_threads_by_the_size_of_the_network_and_the_machine(total: int, threads: int, machine: Any) -> None:
    machine(PLAIN)
    assert chosen(Work(total=total))["threads"] == threads


def test_without_a_machine_to_pretend() -> None:
    assert chosen(Work(total=10**15))["threads"] == cores()


@pytest.mark.parametrize("able", [AMD, INTEL, PLAIN, OLD_AMD], ids=lambda able: able["cpu_name"])
@pytest.mark.parametrize("work", [BIG, TINY, NARROW])
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("precision", ["float32", "bf16"]),
        ("compile", ["on", "off"]),
        ("onednn", ["on", "off"]),
        ("threads", [1, 3, 64]),
    ],
)
def test_what_the_user_gave_is_never_overruled(
    name: str, values: list[Any], able: dict[str, Any], work: Work, machine: Any
) -> None:
    machine(able)
    for value in values:
        assert chosen(work, 10**7, **{name: value})[name] == value


def test_a_plan_with_everything_given_is_settled() -> None:
    given = {"precision": "bf16", "compile": "on", "onednn": "off", "threads": 3}
    assert is_settled(Plan(epochs=1, **given))
    assert settled_choices(Plan(epochs=1, seed=3, **given)) == given
    for name in given:
        rest = {key: value for key, value in given.items() if key != name}
        assert not is_settled(Plan(epochs=1, **rest))


def test_choices_come_back_into_what_is_open_alone(machine: Any) -> None:
    machine(AMD)
    plan = settle(OPEN, BIG, None, CPU)
    assert with_choices(OPEN, settled_choices(plan)) == plan
    half = Plan(epochs=1, precision="float32", threads=7)
    other = {"precision": "bf16", "compile": "on", "onednn": "on", "threads": 2}
    assert settled_choices(with_choices(half, other)) == other | {"precision": "float32", "threads": 7}
    assert with_choices(plan, other) == plan
    assert with_choices(OPEN, settled_choices(OPEN)) == OPEN  # interrupted before anything was chosen


def test_in_words() -> None:
    words = {"precision": "float32", "compile": "off", "onednn": "off", "threads": 1}
    assert described(Plan(epochs=1, **words)) == "float32, 1 thread"
    assert described(Plan(epochs=1, **words | {"threads": 2, "onednn": "on"})) == (
        "float32, 2 threads, large products by oneDNN"
    )
    assert (
        described(Plan(epochs=1, **words | {"precision": "bf16", "compile": "on"})) == "bf16, 1 thread, steps compiled"
    )


class TestEngine:
    """The choices are made once in a training."""

    @staticmethod
    def engine(folder: Path, recorder: Any, steps: int = 4, **plan: Any) -> Engine:
        torch.manual_seed(0)
        x = torch.randn(32, 70)
        points = Shuffled(InMemory({"x": x, "target": (x[:, 0] > 0).long()}), torch.arange(32), batch_size=8, seed=1)
        return Engine(
            Classification(nn.Linear(70, 2), ["x"]),
            points,
            Plan(steps=steps, device="cpu", checkpoint_every=0, **plan),
            {"model": SGD()},
            checkpoints=Checkpoints(folder, keep=100),
            watchers=[recorder],
        )

    @pytest.fixture
    def eager(self, machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """A machine on which bfloat16 is chosen even for the tiniest network."""
        machine(AMD)
        monkeypatch.setattr(rules, "ENOUGH_FOR_BF16", 0)
        monkeypatch.setattr(rules, "_threads", lambda *_: 2)
        monkeypatch.setattr("penstock.engine.tuning.work.WIDE", 2)

    def test_chosen_by_the_first_batch_which_is_trained_on_all_the_same(
        self, eager: None, tmp_path: Path, recorder: Any
    ) -> None:
        made = self.engine(tmp_path, recorder)
        first = next(self.engine(tmp_path, recorder).source)
        found: list[Any] = []
        made.objective.register_forward_pre_hook(lambda module, given: found.append(given[0]["x"]))
        threads: list[int] = []
        recorder.measured = lambda row: threads.append(torch.get_num_threads())
        before = torch.get_num_threads()
        made.run()
        choices = {"precision": "bf16", "compile": "off", "onednn": "off", "threads": 2}
        assert settled_choices(made.plan) == choices
        assert made.stepper.plan is made.plan is recorder.plans[-1]
        assert len(recorder.plans) == 1
        assert (threads, torch.get_num_threads()) == ([2], before)
        assert torch.equal(found[-4], first["x"])
        assert made.state()[1]["settled"] == choices

    def test_a_resumed_run_keeps_to_what_was_chosen(
        self, eager: None, machine: Any, tmp_path: Path, recorders: Any
    ) -> None:
        reference = self.engine(tmp_path / "a", recorders())
        reference.run()
        machine(PLAIN, count=1)  # by the rules, single precision now
        names = reference.checkpoints.names()
        assert [int(name[-1]) for name in names] == [0, 1, 2, 3, 4]
        for name in names[:-1]:
            again = self.engine(tmp_path / name, recorders())
            again.load_state(*reference.checkpoints.load(name))
            again.run()
            assert settled_choices(again.plan) == settled_choices(reference.plan)
            assert torch.equal(again.objective.model.weight, reference.objective.model.weight)
        fresh = self.engine(tmp_path / "fresh", recorders())
        fresh.run()
        assert fresh.plan.precision == "float32"
        assert not torch.equal(fresh.objective.model.weight, reference.objective.model.weight)

    def test_nothing_is_looked_at_where_nothing_is_open(
        self, tmp_path: Path, recorder: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("penstock.engine.pace.work_of", None)
        made = self.engine(tmp_path, recorder, precision="float32", compile="off", onednn="off", threads=1)
        made.run()
        assert recorder.plans == []
