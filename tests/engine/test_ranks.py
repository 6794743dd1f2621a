"""Several ranks give what one process gives on the same batches, stop together, and resume bit for bit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.core.batch import Batch
from penstock.core.errors import DataError, Interrupted, PenstockError
from penstock.core.objective import Objective, Update
from penstock.core.ranks import ALONE, Ranks
from penstock.data.examples import Examples, InMemory
from penstock.data.sources import InOrder, Shuffled
from penstock.engine.checkpoint import Checkpoints
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.engine.watcher import Row, Watcher
from penstock.objectives.supervised import Classification
from penstock.optim.adam import Adam, AdamW
from penstock.optim.schedules import Linear
from penstock.optim.sgd import SGD

STEPS, COUNT = 20, 46


class Rows(Watcher):
    """Keeps every row and the names of checkpoints."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.saves: list[str] = []

    def measured(self, row: Row) -> None:
        self.rows.append(row)

    def saved(self, path: Path) -> None:
        self.saves.append(path.name)


class FromFiles(Examples):
    """Examples that can be lost: `gone` before the n-th batch, on one rank."""

    def __init__(self, tensors: dict[str, Tensor], gone: int) -> None:
        self.tensors, self.gone = tensors, gone

    def stream(self, wanted: Iterable[Tensor]) -> Iterator[tuple[Tensor, Batch]]:
        for number, indices in enumerate(wanted, 1):
            if number == self.gone:
                raise DataError("图片/六.png", "the file is not there", "put it back")
            yield indices, Batch({name: tensor[indices] for name, tensor in self.tensors.items()})


def data() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(COUNT + 30, 6, generator=generator, dtype=torch.float64)
    return {"x": x, "target": (x[:, 0] > 0).long() + (x[:, 1] > 1)}


def source(ranks: Ranks, batch_size: int = 17, **given: Any) -> Shuffled:
    """Batches of 17, 17 and 12."""
    stored = given.pop("stored", None) or InMemory(data())
    return Shuffled(stored, torch.arange(COUNT), batch_size=batch_size, seed=3, ranks=ranks, **given)


def held_out() -> InOrder:
    return InOrder(InMemory(data()), torch.arange(COUNT, COUNT + 30), batch_size=7)


def network(dropout: float = 0.0, norm: type[nn.Module] = nn.LayerNorm) -> nn.Module:
    layers = nn.Linear(6, 16), norm(16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 3)
    return nn.Sequential(*layers).double()


def classifier(**options: Any) -> Classification:
    return Classification(network(**options), ["x"], smoothing=0.1, class_weights=torch.tensor([0.5, 1, 4]).double())


class OwnStep(Objective):
    """Two roles in turns: a net, and noise that disturbs it; the second has its turn every other time."""

    def __init__(self) -> None:
        super().__init__()
        self.model, self.noise = network(), nn.Linear(6, 6).double()
        self.odd_rank_stops, self.count = -1, 0

    def roles(self) -> dict[str, nn.Module | list[nn.Parameter]]:
        return {"model": self.model, "noise": list(self.noise.parameters())}

    def step(self, batch: Batch) -> Iterator[Update]:
        self.count += 1
        loss = functional.cross_entropy(self.model(batch["x"] + self.noise(batch["x"]).detach()), batch["target"])
        yield Update(loss, role="model", weight=batch.size)
        if int(self.progress * STEPS) % 2 and self.odd_rank_stops != self.count:
            loss = functional.cross_entropy(self.model(batch["x"] + self.noise(batch["x"])), batch["target"])
            yield Update(-loss, role="noise", weight=batch.size)


class OneRole(Objective):
    """Writes `step` for its only role."""

    def __init__(self) -> None:
        super().__init__()
        self.model = network()

    def step(self, batch: Batch) -> Iterator[Update]:
        for _ in range(2):
            yield Update(functional.cross_entropy(self.model(batch["x"]), batch["target"]), weight=batch.size)


ONE = {"model": AdamW(lr=0.02, schedule=Linear())}
TWO = {"model": Adam(lr=0.01), "noise": SGD(lr=0.02, momentum=0.9)}
FAMILIES: dict[str, tuple[Callable[[], Objective], Any, dict[str, Any], dict[str, Any]]] = {
    "weighed": (classifier, ONE, {"clip_norm": 0.5, "ema": 0.9}, {}),
    "accumulated": (classifier, ONE, {"accumulate": 3, "clip_value": 0.01}, {}),
    "few": (classifier, ONE, {}, {"batch_size": 3}),
    "single": (classifier, ONE, {}, {"batch_size": 1}),
    "two roles": (OwnStep, TWO, {}, {}),
    "two roles, few": (OwnStep, TWO, {"accumulate": 2}, {"batch_size": 3}),
    "one role": (OneRole, ONE, {}, {"batch_size": 5}),
}


def make(ranks: Ranks, family: str, seed: int = 0, **plan: Any) -> tuple[Engine, Rows]:
    objective, optimizers, own, more = FAMILIES[family]
    torch.manual_seed(seed)
    settings = {"steps": STEPS, "device": "cpu", "log_every": 4, "evaluate_every": 1} | own | plan
    watcher, made = Rows(), objective()
    validation = held_out() if isinstance(made, Classification) else None
    engine = Engine(
        made,
        source(ranks, **more),
        Plan(**settings),
        optimizers,
        validation=validation,
        watchers=[watcher],
        ranks=ranks,
    )
    return engine, watcher


def numbers(objective: nn.Module) -> dict[str, list[float]]:
    return {name: value.double().flatten().tolist() for name, value in objective.state_dict().items()}


def trained(ranks: Ranks, family: str) -> dict[str, Any]:
    engine, watcher = make(ranks, family, seed=ranks.rank)  # other weights on each rank: the first one's count
    outcome = engine.run()
    return {"weights": numbers(engine.objective), "rows": watcher.rows, "outcome": outcome}


def all_trained(ranks: Ranks) -> dict[str, Any]:
    return {family: trained(ranks, family) for family in FAMILIES}


@pytest.fixture(scope="module")
def on_ranks(rank_processes: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Any]]:
    """What every rank of two and of three has at the end, in each family."""
    folder = tmp_path_factory.mktemp("trained")
    return {size: rank_processes.call(folder, __file__, "all_trained", size=size) for size in (2, 3)}


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_ranks_are_one_process(family: str, size: int, on_ranks: dict[int, list[Any]]) -> None:
    reference = trained(ALONE, family)
    first, *others = (one[family] for one in on_ranks[size])
    for name, value in reference["weights"].items():
        assert first["weights"][name] == pytest.approx(value, rel=1e-10, abs=1e-12), name
    for other in others:
        assert other["weights"] == first["weights"]  # bit for bit, or they would drift apart
        assert (other["rows"], other["outcome"]) == ([], reference["outcome"])
    assert len(first["rows"]) == len(reference["rows"])
    for row, expected in zip(first["rows"], reference["rows"], strict=True):
        assert row.pop("split") == expected.pop("split")
        assert row == pytest.approx(expected, rel=1e-9, abs=1e-12)


def normalised(ranks: Ranks) -> dict[str, Any]:
    """Batch statistics, the sharded evaluation, early stopping; and what one rank knows before the others do."""
    torch.manual_seed(0)
    objective = classifier(norm=nn.BatchNorm1d)
    plan = Plan(epochs=9, device="cpu", patience=2, ema=0.5, log_every=3)
    watcher = Rows()
    engine = Engine(objective, source(ranks), plan, ONE, validation=held_out(), watchers=[watcher], ranks=ranks)
    before = engine.evaluate(held_out())
    plain = engine.evaluate(iter(list(held_out())))
    engine.run()
    records = {name: value.tolist() for name, value in before.records.items()}
    same = records == {name: value.tolist() for name, value in plain.records.items()}
    state = numbers(engine.objective) | {str(i): t.tolist() for i, t in enumerate(engine.average.tensors().values())}
    return {"metrics": before.metrics, "records": records, "same": same, "state": state, "why": engine.stepper.coupling}


def test_sharded_evaluation_is_the_whole_and_statistics_stay_alike(rank_processes: Any, tmp_path: Path) -> None:
    first, second = rank_processes.call(tmp_path, __file__, "normalised")
    alone = normalised(ALONE)
    for name in ("metrics", "records", "same", "why"):
        assert first[name] == second[name] == alone[name], name
    assert first["state"] == second["state"]
    assert first["state"]["model.1.num_batches_tracked"] == alone["state"]["model.1.num_batches_tracked"]
    assert first["state"]["model.1.running_mean"] != [0.0] * 16
    assert alone["why"] == "batch normalisation couples the examples of a batch"


def said(engine: Engine) -> list[Any]:
    """Runs; what came out of it, and the step that was reached."""
    try:
        outcome: Any = engine.run()
    except (PenstockError, ZeroDivisionError) as error:
        outcome = [str(error), getattr(error, "code", 1), getattr(error, "told", False)]
    return [outcome, engine.clock.step, numbers(engine.objective)["model.0.weight"][:3]]


class Disturbed(Classification):
    """On one rank, something happens in the third step."""

    def __init__(self, event: Callable[[Tensor], Tensor]) -> None:
        super().__init__(network(), ["x"])
        self.event, self.count = event, 0

    def loss(self, batch: Batch) -> Update:
        self.count += 1
        update = super().loss(batch)
        return Update(self.event(update.loss), weight=update.weight) if self.count == 3 else update


def divide(loss: Tensor) -> Tensor:
    raise ZeroDivisionError("by zero")


def troubled(ranks: Ranks, folder: str) -> dict[str, Any]:
    """One rank has a bad number, an error, a signal, another clock, a lost file or another opinion."""
    found: dict[str, Any] = {}
    events = {"nan loss": lambda loss: loss * torch.nan, "nan gradient": lambda loss: loss + 0 * (0 * loss).sqrt()}
    for name, event in (events | {"bug": divide}).items():
        torch.manual_seed(0)
        objective = Disturbed(event if ranks.rank == 1 else lambda loss: loss)
        found[name] = said(Engine(objective, source(ranks), Plan(steps=9, device="cpu"), ONE, ranks=ranks))
    for name, number in (("few", 15), ("two roles", 2)):
        engine, watcher = make(ranks, name)
        engine.checkpoints = Checkpoints(Path(folder) / f"signal {name}")
        if ranks.rank == 1:
            after(engine, 6, lambda engine=engine, number=number: engine.stop(number))
        found[f"signal {name}"] = [*said(engine), watcher.saves]
    engine, _ = make(ranks, "two roles", steps=9)
    engine.objective.odd_rank_stops = 4 if ranks.rank == 1 else -1
    found["opinion"] = said(engine)
    torch.manual_seed(0)
    files = FromFiles(data(), gone=6 if ranks.rank == 1 else 0)
    watcher = Rows()
    engine = Engine(classifier(), source(ranks, stored=files), Plan(steps=9, device="cpu"), ONE, ranks=ranks)
    engine.checkpoints, engine.watchers = Checkpoints(Path(folder) / "lost"), [watcher]
    found["lost"] = [*said(engine), engine.source.state_dict(), watcher.saves]
    found["evaluation"] = said(stopped_in_evaluation(ranks))
    return found


def after(engine: Engine, step: int, event: Callable[[], None]) -> None:
    """Arranges for something to happen while this step is made."""
    original = engine.stepper.step

    def wrapped(batch: Batch, number: int, progress: float) -> None:
        if number == step:
            event()
        original(batch, number, progress)

    engine.stepper.step = wrapped  # type: ignore[method-assign]


def stopped_in_evaluation(ranks: Ranks) -> Engine:
    engine, _ = make(ranks, "weighed")

    def batches() -> Iterator[Batch]:
        for number, batch in enumerate(held_out()):
            if number == 3 and ranks.rank == 1:
                engine.stop(15)
            yield batch

    class Stopping:
        def __iter__(self) -> Iterator[Batch]:
            return batches()

    engine.validation = Stopping()
    return engine


def test_what_happens_to_one_happens_to_all(rank_processes: Any, tmp_path: Path) -> None:
    first, second = rank_processes.call(tmp_path, __file__, "troubled", str(tmp_path))
    lines = {
        "nan loss": "step 3: the loss of role 'model' is nan; ",
        "nan gradient": "step 3: the gradient of '0.weight' is not finite (role 'model'); ",
        "opinion": "objective: the parts of a batch ask for different updates; ",
        "lost": "图片/六.png: the file is not there; put it back",
        "evaluation": "step 3: stopped by a signal; go on with: penstock resume",
        "signal few": "step 6: stopped by a signal; go on with: penstock resume",
        "signal two roles": "step 6: stopped by a signal; go on with: penstock resume",
    }
    for name, line in lines.items():
        assert first[name][0][0].startswith(line), first[name]
        assert second[name][0][:2] == first[name][0][:2], name
        assert second[name][1:3] == first[name][1:3], name
    codes = {name: first[name][0][1] for name in lines}
    assert codes == {
        "nan loss": 5,
        "nan gradient": 5,
        "opinion": 2,
        "lost": 3,
        "evaluation": 143,
        "signal few": 143,
        "signal two roles": 130,
    }
    assert first["bug"][0] == ["rank 1: ZeroDivisionError: by zero; see what it said", 1, True]
    assert second["bug"][0] == ["by zero", 1, False]
    assert [one["bug"][1] for one in (first, second)] == [2, 2]
    assert first["lost"][1:] == [5, *second["lost"][2:4], ["step-000000005"]]
    assert first["lost"][3] == {"epoch": 1, "position": 2}  # where the lost batch is, also where it was not lost
    assert first["signal few"][3] == first["signal two roles"][3] == ["step-000000006"]
    assert second["lost"][4] == second["signal few"][3] == []


def timed(ranks: Ranks, folder: str) -> dict[str, Any]:
    """The second rank's watch is an hour ahead."""
    if ranks.rank == 1:
        watch = time.perf_counter
        time.perf_counter = lambda: watch() * 1000 + 3600
    found = {}
    for name, plan in {
        "minutes": {"steps": None, "minutes": 0.002},
        "saves": {"checkpoint_every": 0.005, "steps": 60},
    }.items():
        engine, watcher = make(ranks, "weighed", **plan)
        engine.checkpoints = Checkpoints(Path(folder) / name, keep=100)
        found[name] = [*said(engine), watcher.saves, engine.seconds]
    return found


def test_time_is_that_of_the_first(rank_processes: Any, tmp_path: Path) -> None:
    first, second = rank_processes.call(tmp_path, __file__, "timed", str(tmp_path))
    for name in ("minutes", "saves"):
        assert first[name][:3] == second[name][:3]
        assert first[name][4] == second[name][4]
    assert "time budget" in first["minutes"][0]
    assert 0.12 <= first["minutes"][4] < 5
    assert len(first["saves"][3]) > 3
    assert Checkpoints(tmp_path / "saves").names() == first["saves"][3]


def resumable(ranks: Ranks, folder: str, *, steps: int = 11, **plan: Any) -> tuple[Engine, Rows]:
    torch.manual_seed(0)
    settings = {"steps": steps, "device": "cpu", "ema": 0.8, "log_every": 2, "checkpoint_every": 0} | plan
    watcher = Rows()
    engine = Engine(
        classifier(dropout=0.4, norm=nn.BatchNorm1d),
        source(ranks),
        Plan(**settings),
        ONE,
        validation=held_out(),
        checkpoints=Checkpoints(Path(folder), keep=100),
        watchers=[watcher],
        ranks=ranks,
    )
    torch.manual_seed(100 + ranks.rank)
    return engine, watcher


def ended(engine: Engine) -> list[Any]:
    engine.run()
    tensors, state = engine.state()
    kept = {name: value.double().flatten().tolist() for name, value in tensors.items()}
    return [kept, {name: value for name, value in state.items() if name != "seconds"}]


def resumed(ranks: Ranks, folder: str) -> list[Any]:
    whole, watcher = resumable(ranks, f"{folder}/whole")
    reference, same = ended(whole), []
    for step in (0, 1, 4, 7, 11):
        engine, rows = resumable(ranks, f"{folder}/{step}")
        engine.load_state(*Checkpoints(Path(folder) / "whole").load(f"step-{step:09}"))
        known = engine.rows
        same.append(ended(engine) == reference and (not ranks.first or watcher.rows[known:] == rows.rows))
    return [same, [name for name in reference[0] if name.startswith("random")], reference[0]["random/torch"]]


def resumed_by_others(ranks: Ranks, folder: str) -> list[Any]:
    """Goes on where two ranks have stopped; a source that was at two places cannot."""
    checkpoint = Checkpoints(Path(folder) / "whole").load("step-000000004")
    engine, _ = resumable(ranks, f"{folder}/others")
    engine.load_state(*checkpoint)
    engine.run()
    tensors, state = checkpoint
    state["others"][0]["source"]["position"] += 1
    try:
        resumable(ranks, f"{folder}/others")[0].load_state(tensors, state)
    except PenstockError as error:
        return [engine.clock.step, str(error), torch.rand(1).item()]
    return []


def test_resumed_bit_for_bit_and_by_another_number_of_ranks(rank_processes: Any, tmp_path: Path) -> None:
    same, groups, random = rank_processes.call(tmp_path, __file__, "resumed", str(tmp_path))[0]
    assert same == [True] * 5
    assert {name.split("/")[0] for name in groups} == {"random", "random.1"}
    _, _, other = rank_processes.call(tmp_path, __file__, "resumed", str(tmp_path))[1]
    assert other == random  # every rank knows all parts; the first one's is where one process has its own
    alone = resumed_by_others(ALONE, str(tmp_path))
    three = rank_processes.call(tmp_path, __file__, "resumed_by_others", str(tmp_path), size=3)
    for size, found in ((1, alone), (3, three[0]), (3, three[2])):
        assert found[0] == 11
        assert f"written by 2 processes, each at a place of its own in the data; now there are {size}" in found[1]
    assert len({found[2] for found in three}) == 3  # each has random numbers of its own


def test_a_signal_alone_is_known_at_once() -> None:
    engine, _ = make(ALONE, "few")
    after(engine, 3, lambda: engine.stop(15))
    with pytest.raises(Interrupted, match="step 3"):
        engine.run()
