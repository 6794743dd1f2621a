"""When memory runs out: what was reached is saved and a smaller batch named, or the batch is computed in parts."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.core.batch import Batch
from penstock.core.errors import Interrupted
from penstock.core.memory import OutOfMemory
from penstock.core.objective import Evaluation, Objective, Update
from penstock.data.examples import InMemory
from penstock.data.sources import InOrder, Shuffled
from penstock.engine.checkpoint import Checkpoints
from penstock.engine.engine import Engine
from penstock.engine.plan import Plan
from penstock.optim.adam import AdamW
from penstock.optim.sgd import SGD

STEPS, SIZE = 9, 8
NEVER = 10**9


EXPLICIT: dict[str, Any] = {"precision": "float32", "compile": "off", "onednn": "off", "threads": 1}
"""Nothing is left to choose by rule: these objectives write down each call, and a look at their work would be one."""


class Hungry(Objective):
    """Fails where a batch has more than `room` examples, from the `since`-th batch on: after random numbers were drawn,
    and a loss noted where the batch has parts."""

    def __init__(self, room: int = NEVER, since: int = 0, *, dropout: float = 0.3, norm: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        middle = nn.BatchNorm1d(16) if norm else nn.utils.parametrizations.spectral_norm(nn.Linear(16, 16))
        self.model = nn.Sequential(nn.Linear(3, 16), middle, nn.Dropout(dropout), nn.Linear(16, 1))
        self.room, self.since, self.calls = room, since, 0
        self.sizes: list[int] = []
        self.filling: list[weakref.ref[Tensor]] = []
        self.left: list[bool] = []

    def step(self, batch: Batch) -> Iterator[Update]:
        self.calls += 1
        self.left.append(all(ref() is None for ref in self.filling))
        try:
            yield self.loss(batch)
        finally:
            self.sizes.append(batch.size)

    def loss(self, batch: Batch) -> Update:
        output = self.model(batch["x"])[:, 0]
        if batch.size > self.room and self.calls > self.since:
            self.filling.append(weakref.ref(output))
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return Update(functional.mse_loss(output, batch["y"]), weight=batch.size)

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        return Evaluation({"loss": sum(float(self.model(batch["x"]).square().sum()) for batch in source)})


class Eventful(Shuffled):
    """Calls `event` before the n-th batch."""

    event: Callable[[int], None] = staticmethod(lambda count: None)
    count = 0

    def __next__(self) -> Batch:
        self.count += 1
        self.event(self.count)
        return super().__next__()


def stored() -> InMemory:
    generator = torch.Generator().manual_seed(0)
    return InMemory({"x": torch.randn(46, 3, generator=generator), "y": torch.randn(46, generator=generator)})


def engine(objective: Objective, folder: Path | None = None, watchers: Any = (), **plan: Any) -> Engine:
    """Epochs of 5 batches, the last of 6 examples; 8 to evaluate on, in one batch."""
    source = Eventful(stored(), torch.arange(38), batch_size=SIZE, seed=0)
    optimizers = plan.pop("optimizers", {"model": AdamW(lr=0.02)})
    plan = EXPLICIT | {"steps": STEPS, "device": "cpu", "log_every": 4, "checkpoint_every": 1e9, "keep": "last"} | plan
    more: dict[str, Any] = {"checkpoints": Checkpoints(folder) if folder else None, "watchers": watchers}
    validation = InOrder(stored(), torch.arange(38, 46), batch_size=8)
    return Engine(objective, source, Plan(**plan), optimizers, validation=validation, **more)


def weights(objective: Objective) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in objective.state_dict().items()}


def assert_same(made: Engine, reference: Engine) -> None:
    (tensors, state), (expected, expected_state) = made.state(), reference.state()
    assert {**state, "seconds": 0} == {**expected_state, "seconds": 0}
    assert tensors.keys() == expected.keys()
    assert [name for name, value in expected.items() if not torch.equal(tensors[name], value)] == []


def failure(made: Engine) -> str:
    with pytest.raises(OutOfMemory) as caught:
        made.run()
    assert caught.value.code == 6
    return str(caught.value)


class TestStopping:
    def test_the_line_names_step_batch_and_a_smaller_one(self) -> None:
        assert failure(engine(Hungry(4, since=3))) == (
            "step 4: out of memory on a batch of 8 examples; "
            "train with --batch-size 4, or with --on-out-of-memory halve"
        )
        assert failure(engine(Hungry(1, since=4), accumulate=2)).startswith(
            "step 3: out of memory on a batch of 8 examples in 2 parts; train with --batch-size 4, or with "
        )

    def test_what_was_reached_is_saved_and_goes_on_bit_for_bit(self, tmp_path: Path, recorders: Any) -> None:
        whole, first, second = recorders(), recorders(), recorders()
        reference = engine(Hungry(dropout=0.0, norm=True), watchers=[whole])
        torch.manual_seed(1)
        reference.run()
        objective = Hungry(4, since=6, dropout=0.0, norm=True)
        made = engine(objective, tmp_path, [first])
        torch.manual_seed(1)
        before: list[dict[str, Tensor]] = []
        made.source.source.event = lambda count: before.append(weights(objective))
        assert failure(made).startswith("step 7: ")
        assert made.checkpoints.names() == ["step-000000006"]
        moved = [name for name, value in before[-1].items() if not torch.equal(value, objective.state_dict()[name])]
        assert moved == [f"model.1.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")]
        again = engine(Hungry(dropout=0.0, norm=True), tmp_path, [second])
        again.load_state(*again.checkpoints.load("step-000000006"))
        for name in moved:  # batch statistics are no weights: the failed attempt may have moved them
            again.objective.state_dict()[name].copy_(before[-1][name])
        known = again.rows
        again.run()
        assert_same(again, reference)
        assert first.rows[:known] + second.rows == whole.rows

    def test_memory_may_run_out_while_a_batch_is_fetched(self, tmp_path: Path) -> None:
        made, reference = engine(Hungry(), tmp_path), engine(Hungry())

        def full(count: int) -> None:
            if count == 4:
                raise MemoryError

        made.source.source.event = full
        assert failure(made).startswith("step 4: out of memory while a batch was fetched")
        again = engine(Hungry(), tmp_path)
        again.load_state(*again.checkpoints.load("step-000000003"))
        again.run()
        torch.manual_seed(0)
        Hungry()  # for the random state that it leaves
        reference.run()
        assert_same(again, reference)

    def test_other_runtime_errors_are_not_taken_for_it(self) -> None:
        class Faulty(Hungry):
            def loss(self, batch: Batch) -> Update:
                raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

        with pytest.raises(RuntimeError, match="mat1"):
            engine(Faulty(), on_out_of_memory="halve").run()


class TestHalving:
    def halved(self, objective: Hungry, watcher: Any, folder: Path | None = None, **plan: Any) -> Engine:
        made = engine(objective, folder, [watcher], on_out_of_memory="halve", **plan)
        torch.manual_seed(1)
        return made

    @pytest.mark.parametrize("precision", ["float32", "fp16"])
    @pytest.mark.parametrize("start", [1, 2])
    @pytest.mark.parametrize("step", [1, 3, 7])
    def test_as_if_it_had_been_in_parts_from_that_step_on(
        self, step: int, start: int, precision: str, recorders: Any
    ) -> None:
        """The failed attempt leaves no trace: not in random numbers, buffers, losses or the generators."""
        first, second = recorders(), recorders()
        reference = self.halved(Hungry(), first, accumulate=start, precision=precision)

        def double(count: int) -> None:
            if count == step:
                reference.stepper.memory.parts = 2 * start

        reference.source.source.event = double
        reference.run()
        objective = Hungry(SIZE // (2 * start), since=start * step - 1)  # its last part fails, after others' losses
        made = self.halved(objective, second, accumulate=start, precision=precision)
        made.run()
        assert_same(made, reference)
        assert first.rows == second.rows
        assert all(objective.left)  # what filled the memory was gone before the next attempt
        assert len(objective.sizes) == objective.calls  # every generator was closed
        assert made.stepper.memory.parts == 2 * start

    def test_the_gradient_is_that_of_the_whole_batch(self, recorder: Any) -> None:
        """Buffers of a power iteration move once a part, so here are none."""

        def plain(room: int) -> Hungry:
            objective = Hungry(room, dropout=0.0)
            objective.model[1] = nn.Identity()
            return objective

        whole, split = plain(NEVER), plain(2)
        sgd = {"optimizers": {"model": SGD(lr=0.1)}}
        engine(whole, **sgd).run()
        self.halved(split, recorder, **sgd).run()
        assert set(split.sizes[-4:]) == {2}
        for name, value in whole.state_dict().items():
            torch.testing.assert_close(split.state_dict()[name], value, rtol=1e-4, atol=1e-6, msg=name)

    def test_it_is_said_once(self, recorder: Any) -> None:
        self.halved(Hungry(4, since=2), recorder).run()
        assert recorder.lines == [
            "step 3: out of memory on a batch of 8 examples; from here on a batch is computed in 2 parts, "
            "with the same gradient"
        ]

    def test_again_and_again_down_to_one_example(self, recorder: Any) -> None:
        made = self.halved(Hungry(1), recorder)
        made.run()
        assert (made.stepper.memory.parts, len(recorder.lines)) == (8, 3)
        assert failure(self.halved(Hungry(0), recorder)) == (
            "step 1: out of memory on a batch of 8 examples in 8 parts; give a smaller model or smaller inputs"
        )

    def test_a_checkpoint_remembers_it(self, tmp_path: Path, recorders: Any) -> None:
        whole, first, second = recorders(), recorders(), recorders()
        reference = self.halved(Hungry(4), whole)
        reference.run()
        made = self.halved(Hungry(4), first, tmp_path)
        made.source.source.event = lambda count: made.stop(15) if count == 4 else None
        with pytest.raises(Interrupted):
            made.run()
        again = self.halved(Hungry(4), second, tmp_path)
        again.load_state(*again.checkpoints.load("step-000000004"))
        again.run()
        assert_same(again, reference)
        assert second.lines == []

    def test_where_parts_would_not_add_up(self, recorder: Any) -> None:
        assert failure(self.halved(Hungry(4, norm=True), recorder)) == (
            "step 1: out of memory on a batch of 8 examples, which cannot be computed in parts (batch normalisation "
            "couples the examples of a batch); train with --batch-size 4"
        )
        objective = Hungry(4)
        objective.separable = False
        assert "parts (this loss couples the examples of a batch); " in failure(self.halved(objective, recorder))
        assert recorder.lines == []


class Pair(Hungry):
    """Two updates a batch; memory runs out in the second one."""

    def __init__(self, room: int) -> None:
        super().__init__(dropout=0.0)
        self.other, self.second_room = nn.Linear(3, 1), room

    def roles(self) -> dict[str, nn.Module | list[nn.Parameter]]:
        return {"model": self.model, "other": self.other}

    def step(self, batch: Batch) -> Iterator[Update]:
        yield self.loss(batch)
        if batch.size > self.second_room:
            raise torch.OutOfMemoryError
        yield Update(self.other(batch["x"]).square().mean(), role="other", weight=batch.size)


@pytest.mark.parametrize("mode", ["stop", "halve"])
def test_an_update_is_never_taken_twice(mode: str, tmp_path: Path, recorder: Any) -> None:
    optimizers = {"model": SGD(), "other": SGD()}
    made = engine(Pair(4), tmp_path, [recorder], optimizers=optimizers, on_out_of_memory=mode)
    told = failure(made)
    assert told == (
        "step 1: out of memory on a batch of 8 examples, after the step's updates had begun, so that the step cannot "
        "be made again; train with --batch-size 4"
    )
    assert [role.updates for role in made.stepper.roles.values()] == [1, 0]
    assert made.checkpoints.names() == []  # nothing half done is saved


def test_memory_that_runs_out_in_an_update() -> None:
    made = engine(Hungry(), on_out_of_memory="halve")
    role = made.stepper.roles["model"]

    def full() -> None:
        raise torch.OutOfMemoryError

    role.update = full  # type: ignore[method-assign]
    assert "after the step's updates had begun" in failure(made)
