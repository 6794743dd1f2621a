"""Stopping after any step and going on gives the same bits as never having stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.core.batch import Batch
from penstock.core.errors import DataError, Interrupted
from penstock.core.objective import Evaluation, Objective, Update
from penstock.data.examples import InMemory
from penstock.data.pixels import Augment, PixelScaling, PixelTransform
from penstock.data.sources import InOrder, Shuffled
from penstock.engine.ahead import Ahead
from penstock.engine.checkpoint import Checkpoints
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.objectives.supervised import Classification
from penstock.optim.adam import Adam, AdamW
from penstock.optim.adaptive import RMSprop
from penstock.optim.optimizer import Optimizer
from penstock.optim.schedules import Cosine
from penstock.optim.sgd import SGD

STEPS = 11
TRAINING, HELD_OUT = torch.arange(22), torch.arange(22, 30)


def stored() -> InMemory:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (30, 2, 6, 6), dtype=torch.uint8, generator=generator)
    return InMemory({"image": images, "target": torch.randint(0, 3, (30,), generator=generator)})


def sources() -> tuple[Shuffled, InOrder]:
    """Epochs of 5 batches, the last of 2 pictures; 3 held-out batches: evaluated at steps 4, 8 and 11."""
    scaling = PixelScaling([120.0, 130.0], [70.0, 75.0])
    training = PixelTransform(scaling, Augment(flip=True, shift=1))
    order = Shuffled(stored(), TRAINING, batch_size=5, seed=4, transform=training)
    return order, InOrder(stored(), HELD_OUT, batch_size=3, transform=PixelTransform(scaling))


def network(seed: int, *, norm: bool, dropout: float = 0.3) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4) if norm else nn.GroupNorm(2, 4),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 3),
    )


class Players(Objective):
    """A classifier and an adversary that disturbs its pictures, with a slow copy of the classifier beside them."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.classifier, self.target = network(seed, norm=False), network(seed, norm=False)
        self.adversary = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.Tanh())

    def roles(self) -> dict[str, nn.Module | list[nn.Parameter]]:
        return {"classifier": self.classifier, "adversary": self.adversary}

    def step(self, batch: Batch) -> Iterator[Update]:
        noise = torch.randn_like(batch["image"]) * (1 - self.progress)
        disturbed = batch["image"] + self.adversary(batch["image"] + noise)
        loss = functional.cross_entropy(self.classifier(disturbed.detach()), batch["target"])
        yield Update(loss, role="classifier", weight=batch.size)
        loss = functional.cross_entropy(self.classifier(disturbed), batch["target"])
        yield Update(-loss, role="adversary", weight=batch.size)

    def stepped(self) -> None:
        with torch.no_grad():
            for slow, fast in zip(self.target.parameters(), self.classifier.parameters(), strict=True):
                slow.lerp_(fast, 0.3)

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        losses = [float(functional.cross_entropy(self.target(batch["image"]), batch["target"])) for batch in source]
        return Evaluation({"loss": sum(losses)})


def smooth(lr: float) -> dict[str, Optimizer]:
    return {"model": AdamW(lr=lr, schedule=Cosine(warmup=0.2))}


FAMILIES: dict[str, tuple[Callable[[int], Objective], Mapping[str, Optimizer], dict[str, Any]]] = {
    "batch norm, average": (
        lambda seed: Classification(network(seed, norm=True), ["image"], smoothing=0.1),
        smooth(0.02),
        {"ema": 0.8, "monitor": "accuracy", "clip_norm": 1.0},
    ),
    "accumulated": (
        lambda seed: Classification(network(seed, norm=False), ["image"]),
        {"model": SGD(lr=0.1, nesterov=True, weight_decay=0.01)},
        {"accumulate": 2, "patience": 3},
    ),
    "bf16": (lambda seed: Classification(network(seed, norm=True), ["image"]), smooth(0.02), {"precision": "bf16"}),
    "two roles": (Players, {"classifier": Adam(lr=0.02), "adversary": RMSprop(lr=0.01)}, {"ema": 0.5}),
    "two roles accumulated": (Players, {"classifier": Adam(), "adversary": SGD(lr=0.01)}, {"accumulate": 3}),
}


class Halting:
    """A validation source, a source of training batches: calls `event` before its n-th batch."""

    def __init__(self, within: Any, event: Callable[[int], None]) -> None:
        self.within, self.event, self.count = within, event, 0

    def note(self) -> None:
        self.count += 1
        self.event(self.count)

    def __iter__(self) -> Iterator[Batch]:
        for batch in self.within:
            self.note()
            yield batch

    def __next__(self) -> Batch:
        self.note()
        return next(self.within)

    @property
    def epoch_steps(self) -> int:
        return self.within.epoch_steps

    def state_dict(self) -> dict[str, Any]:
        return self.within.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.within.load_state_dict(state)


EXPLICIT: dict[str, Any] = {"precision": "float32", "compile": "off", "onednn": "off", "threads": 1}
"""Nothing is left to choose by rule: a look at the work would draw a batch ahead."""


def engine(family: str, folder: Path, recorder: Any, *, seed: int = 0, keep: int = 1000, **plan: Any) -> Engine:
    make, optimizers, more = FAMILIES[family]
    settings = EXPLICIT | {
        "steps": STEPS,
        "device": "cpu",
        "log_every": 2,
        "evaluate_every": 0.75,
        "checkpoint_every": 0,
    }
    training, held_out = sources()
    made = Engine(
        make(seed),
        training,
        Plan(**(EXPLICIT | settings | more | plan)),
        optimizers,
        validation=held_out,
        checkpoints=Checkpoints(folder, keep=keep),
        watchers=[recorder],
    )
    torch.manual_seed(100 + seed)
    return made


def everything(made: Engine) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All that a checkpoint holds, and the final weights; the time it took left out."""
    tensors, state = made.state()
    return tensors, {key: value for key, value in state.items() if key != "seconds"}


def assert_same(made: Engine, reference: Engine) -> None:
    (tensors, state), (expected, expected_state) = everything(made), everything(reference)
    assert state == expected_state
    assert tensors.keys() == expected.keys()
    different = [name for name, value in expected.items() if not torch.equal(tensors[name], value)]
    assert different == []


def load_newest(made: Engine) -> int:
    assert made.checkpoints is not None
    _, tensors, state, skipped = made.checkpoints.newest()
    assert skipped == []
    made.load_state(tensors, state)
    return made.rows


@pytest.mark.parametrize("family", FAMILIES)
def test_resumed_at_every_step(family: str, tmp_path: Path, recorders: Any) -> None:
    whole = recorders()
    reference = engine(family, tmp_path / "whole", whole)
    outcome = reference.run()
    names = reference.checkpoints.names()
    assert len(names) == reference.clock.step + 1
    assert {row["split"] for row in whole.rows} == {"train", "validation"}
    for step, name in enumerate(names):
        part = recorders()
        made = engine(family, tmp_path / f"from {step}", part, seed=step + 1, checkpoint_every=1e9)
        made.load_state(*reference.checkpoints.load(name))
        assert (made.clock.step, part.events) == (step, [])
        known = made.rows
        assert made.run() == outcome
        assert_same(made, reference)
        assert whole.rows[:known] + part.rows == whole.rows
        assert part.events[0] == f"started {step}"


def test_the_same_seed_twice_and_another_seed(tmp_path: Path, recorders: Any) -> None:
    runs = [
        engine("batch norm, average", tmp_path / str(i), recorders(), seed=seed) for i, seed in enumerate([0, 0, 1])
    ]
    for made in runs[:2]:
        torch.manual_seed(5)
        made.run()
    assert_same(runs[1], runs[0])
    torch.manual_seed(5)
    runs[2].run()
    assert not torch.equal(runs[2].objective.model[6].weight, runs[0].objective.model[6].weight)


@pytest.mark.parametrize("batch", range(1, 10))
def test_interrupted_within_evaluations_and_resumed(batch: int, tmp_path: Path, recorders: Any) -> None:
    whole, first, second = recorders(), recorders(), recorders()
    family = "batch norm, average"
    reference = engine(family, tmp_path / "whole", whole, checkpoint_every=1e9)
    reference.run()
    made = engine(family, tmp_path / "parts", first, checkpoint_every=1e9)
    made.validation = Halting(made.validation, lambda count: made.stop(15) if count == batch else None)
    with pytest.raises(Interrupted, match=r"^step \d+: stopped by a signal; go on with: penstock resume$") as caught:
        made.run()
    assert caught.value.code == 143
    assert made.validation.count == batch  # the rest of the evaluation was left undone
    assert first.events[-2] == f"saved step-{made.clock.step:09}"
    again = engine(family, tmp_path / "parts", second, seed=1, checkpoint_every=1e9)
    known = load_newest(again)
    again.run()
    assert_same(again, reference)
    assert first.rows[:known] + second.rows == whole.rows


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_interrupted_while_training_and_resumed(step: int, tmp_path: Path, recorders: Any) -> None:
    whole, first, second = recorders(), recorders(), recorders()
    reference = engine("accumulated", tmp_path / "whole", whole, checkpoint_every=1e9)
    reference.run()
    made = engine("accumulated", tmp_path / "parts", first, checkpoint_every=1e9)
    made.source = made.pace.source = Ahead(
        Halting(made.source, lambda count: made.stop(2) if count == step else None), made.device
    )
    with pytest.raises(Interrupted) as caught:
        made.run()
    assert caught.value.code == 130
    assert made.clock.step == step  # within one step
    again = engine("accumulated", tmp_path / "parts", second, seed=1, checkpoint_every=1e9)
    known = load_newest(again)
    again.run()
    assert_same(again, reference)
    assert first.rows[:known] + second.rows == whole.rows


def test_a_signal_in_the_last_save_is_not_lost(tmp_path: Path, recorder: Any) -> None:
    made = engine("bf16", tmp_path, recorder, checkpoint_every=1e9)
    recorder.saved = lambda path: made.stop(15)
    with pytest.raises(Interrupted) as caught:
        made.run()
    assert (caught.value.code, made.clock.step) == (143, STEPS)
    assert made.checkpoints.names() == [f"step-{STEPS:09}"]


def test_a_signal_after_training_does_not_disturb_evaluations(tmp_path: Path, recorder: Any) -> None:
    made = engine("bf16", tmp_path, recorder)
    made.run()
    made.stop(15)
    assert set(made.evaluate(sources()[1]).metrics) == {"loss", "accuracy", "error", "f1", "auc"}


def test_lost_data_is_said_after_saving_and_training_goes_on_once_it_is_back(tmp_path: Path, recorders: Any) -> None:
    whole, first, second = recorders(), recorders(), recorders()
    reference = engine("two roles", tmp_path / "whole", whole, checkpoint_every=1e9)
    reference.run()

    def lose(count: int) -> None:
        if count == 6:
            raise DataError("图片/六.png", "the file is not there", "put it back")

    made = engine("two roles", tmp_path / "parts", first, checkpoint_every=1e9)
    made.source = made.pace.source = Ahead(Halting(made.source, lose), made.device)
    with pytest.raises(DataError, match=r"^图片/六\.png: "):
        made.run()
    assert first.events == ["started 0", "saved step-000000005", "finished 5"]
    again = engine("two roles", tmp_path / "parts", second, seed=1, checkpoint_every=1e9)
    known = load_newest(again)
    again.run()
    assert_same(again, reference)
    assert first.rows[:known] + second.rows == whole.rows
