"""Who takes part in which race, with which settings, and what Penstock is to reach there."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Rounds = Sequence[Mapping[str, Mapping[str, Any]]]
"""What was measured in each round, by the key of the entry."""


@dataclass(frozen=True)
class Entry:
    """One contestant: a function of a file in this folder, or a whole `command` of words after the interpreter.

    One that `needs` distributions runs in the peers' environment, where they must be installed.
    """

    label: str
    module: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    function: str = "train"
    needs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()

    @property
    def ours(self) -> bool:
        """Whether it is Penstock."""
        return self.module == "penstock_" or "penstock" in self.command

    @property
    def reduced(self) -> bool:
        """Whether it computes in bfloat16."""
        return any("bf" in str(value) or value == "auto" for value in self.settings.values())


@dataclass(frozen=True)
class Bar:
    """Entry `ahead` is to be at least `wanted` times as fast as entry `behind`.

    `above`: it is to take at most `wanted` seconds more.
    """

    ahead: str
    behind: str
    wanted: float
    above: bool = False

    def found(self, rounds: Rounds) -> float | None:
        """The median of each round's ratio, or difference; None where the two never ran in the same round."""
        pairs = [(one[self.ahead]["seconds"], one[self.behind]["seconds"]) for one in rounds if self._both(one)]
        if not pairs:
            return None
        return statistics.median(ahead - behind if self.above else behind / ahead for ahead, behind in pairs)

    def reached(self, found: float) -> bool:
        """Whether that is enough."""
        return found <= self.wanted if self.above else found >= self.wanted

    def _both(self, one: Mapping[str, Any]) -> bool:
        return self.ahead in one and self.behind in one


@dataclass(frozen=True)
class Race:
    """The entries of a case by key, the one whose loss and speed the others are compared with, and the bars."""

    entries: Mapping[str, Entry]
    reference: str
    bars: Sequence[Bar]

    @property
    def bases(self) -> tuple[str, ...]:
        """What the tables set the others beside, the first of these that ran."""
        return tuple(key for key in ("import", "lightning", self.reference) if key in self.entries)


def _penstock(label: str, function: str = "train", **settings: Any) -> Entry:
    return Entry(f"Penstock, {label}", "penstock_", settings, function)


def _keras(backend: str, **settings: Any) -> Entry:
    packages = ("keras", "torch") if backend == "torch" else ("keras", "jax", "jaxlib")
    extra = "".join(f", {str(value).removeprefix('mixed_')}" for key, value in settings.items() if key == "policy")
    extra += "".join(f", {value} steps per execution" for key, value in settings.items() if key != "policy")
    name = {"torch": "PyTorch", "jax": "JAX"}[backend]
    return Entry(f"Keras on {name}{extra}", "keras_", settings, needs=packages, environment={"KERAS_BACKEND": backend})


def _threads(entry: Entry, threads: int) -> Entry:
    settings = dict(entry.settings) | ({"threads": threads} if entry.ours else {})
    label = f"{entry.label}, {threads} thread{'s' if threads > 1 else ''}"
    return replace(entry, label=label, settings=settings, environment={"OMP_NUM_THREADS": str(threads)})


_PLAIN = Entry("plain PyTorch loop, DataLoader", "plain")
_CAREFUL = Entry("plain PyTorch loop, tensors in memory, fused Adam", "plain", {"careful": True})
_LIGHTNING = Entry("Lightning", "lightning_", needs=("lightning",))
_LIGHTNING_BF16 = Entry("Lightning, bf16-mixed", "lightning_", {"precision": "bf16-mixed"}, needs=("lightning",))
_SKORCH = Entry("skorch", "skorch_", needs=("skorch",))
_SKLEARN = Entry("scikit-learn", "sklearn_", needs=("scikit-learn",))
_BF16 = {"policy": "mixed_bfloat16"}
_FLOAT32 = _penstock("float32", precision="float32")
_AUTO = _penstock("precision auto", precision="auto")
_CLIPPED = _penstock("eager", compile="off", precision="float32", clip_norm=1.0)
_BARE = Entry("bare loop, fused Adam, clip_grad_norm_", "bare", {"clip_norm": 1.0})
_COMMAND = (
    "-m penstock train regress --data diabetes --model mlp --net.hidden 64 64 --net.dropout 0 --batch-size 32"
    " --steps 100 --optim.name adam --optim.lr 1e-3 --optim.schedule constant"
)

_RECURRENT = Race(
    {
        "auto": _AUTO,
        "float32": _FLOAT32,
        "lightning": _LIGHTNING,
        "lightning-bf16": _LIGHTNING_BF16,
        "keras-torch": _keras("torch"),
        "keras-jax": _keras("jax"),
        "keras-jax-bf16": _keras("jax", **_BF16),
        "plain": _PLAIN,
    },
    "plain",
    (Bar("auto", "lightning", 2.5), Bar("auto", "keras-torch", 2.5), Bar("auto", "keras-jax", 2.5)),
)

RACES: dict[str, Race] = {
    "table": Race(
        {
            "eager": _penstock("eager", compile="off", precision="float32"),
            "compiled": _penstock("compiled", compile="on", precision="float32"),
            "lightning": _LIGHTNING,
            "skorch": _SKORCH,
            "keras-torch": _keras("torch"),
            "keras-jax": _keras("jax"),
            "keras-jax-20": _keras("jax", steps_per_execution=20),
            "sklearn": _SKLEARN,
            "plain": _PLAIN,
            "careful": _CAREFUL,
        },
        "plain",
        (Bar("eager", "lightning", 4.0), Bar("compiled", "lightning", 8.0), Bar("compiled", "keras-jax-20", 1.0)),
    ),
    "cnn": Race(
        {
            "auto": _AUTO,
            "float32": _FLOAT32,
            "lightning": _LIGHTNING,
            "lightning-bf16": _LIGHTNING_BF16,
            "skorch": _SKORCH,
            "keras-torch": _keras("torch"),
            "keras-torch-bf16": _keras("torch", **_BF16),
            "keras-jax": _keras("jax"),
            "keras-jax-bf16": _keras("jax", **_BF16),
            "plain": _PLAIN,
        },
        "plain",
        (Bar("auto", "lightning", 2.0), Bar("auto", "lightning-bf16", 1.1), Bar("float32", "lightning", 1.1)),
    ),
    "mlp": Race(
        {
            "auto": _AUTO,
            "float32": _FLOAT32,
            "lightning": _LIGHTNING,
            "lightning-bf16": _LIGHTNING_BF16,
            "skorch": _SKORCH,
            "keras-torch": _keras("torch"),
            "keras-torch-bf16": _keras("torch", **_BF16),
            "keras-jax": _keras("jax"),
            "keras-jax-bf16": _keras("jax", **_BF16),
            "sklearn": _SKLEARN,
            "plain": _PLAIN,
        },
        "plain",
        (Bar("float32", "lightning", 1.5), Bar("auto", "lightning", 2.0)),
    ),
    "lstm": _RECURRENT,
    "gru": _RECURRENT,
    "pair": Race(
        {
            "eager": _penstock("eager", "train_pair", compile="off", precision="float32"),
            "compiled": _penstock("compiled", "train_pair", compile="on", precision="float32"),
            "plain": Entry("plain PyTorch loop, DataLoader", "plain", function="train_pair"),
        },
        "plain",
        (Bar("compiled", "eager", 1.6),),
    ),
    "overhead": Race(
        {
            "engine-1": _threads(_CLIPPED, 1),
            "bare-1": _threads(_BARE, 1),
            "engine-2": _threads(_CLIPPED, 2),
            "bare-2": _threads(_BARE, 2),
        },
        "bare-1",
        (Bar("engine-1", "bare-1", 1.0), Bar("engine-2", "bare-2", 1.0)),
    ),
    "short": Race(
        {
            "command": Entry("penstock train, with test and report", command=tuple(_COMMAND.split())),
            "penstock": _penstock("from Python"),
            "lightning": _LIGHTNING,
            "skorch": _SKORCH,
            "keras-torch": _keras("torch"),
            "keras-jax": _keras("jax"),
            "sklearn": _SKLEARN,
            "plain": _PLAIN,
            "import": Entry("import torch", command=("-c", "import torch")),
        },
        "plain",
        (Bar("command", "import", 1.5, above=True),),
    ),
}
"""By the names of the cases."""
