"""The work that is raced over: networks, data and lengths, in NumPy alone, so that no library has a head start."""

from __future__ import annotations

import gzip
import itertools
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

TRIAL_EXAMPLES, TRIAL_STEPS = 256, 20
FASHION_MEAN, FASHION_STD = 0.2860, 0.3530
GATES = {"lstm": 4, "gru": 3}
"""How many times as many rows as units the weights of a recurrent layer have; in torch's order: i f g o, and r z n."""
CHARACTERS, STEPS = 65, 64


class Layer(NamedTuple):
    """One of linear, conv (3 x 3, padded), relu, pool (2 x 2, maximum), flatten, embedding, lstm, gru."""

    kind: str
    inputs: int = 0
    outputs: int = 0


class Data(NamedTuple):
    """Examples (N, ...) with answers (N, 1) float32, (N,) int64 or, one a step, (N, T) int64; where they come from."""

    x: np.ndarray
    y: np.ndarray
    origin: str


class Length(NamedTuple):
    """How much is trained: examples an epoch, epochs of warm-up, epochs that count."""

    examples: int
    warm_up: int
    epochs: int


class Weights(NamedTuple):
    """A layer's initial weight, (outputs, inputs) or (outputs, inputs, 3, 3), and bias (outputs,)."""

    weight: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class Task:
    """A case made ready: what a contestant is given."""

    nets: Mapping[str, tuple[Layer, ...]]
    weights: Mapping[str, list[Weights]]
    data: Data
    batch: int
    seed: int

    @property
    def classes(self) -> bool:
        """Whether the answers are classes, to be learned by cross-entropy; otherwise numbers, by squared error."""
        return self.data.y.dtype == np.int64

    def noise(self, width: int) -> np.ndarray:
        """What a generator's final outputs are made from, (N, width)."""
        return np.random.default_rng(1).standard_normal((len(self.data.x), width), dtype=np.float32)

    def loss(self, outputs: np.ndarray) -> float:
        """Over all training examples; of a two-role task the discriminator's, from its logits (N, 2) on true, made."""
        out, y = outputs.astype(np.float64), self.data.y
        if "discriminator" in self.nets:
            return float((np.logaddexp(0, -out[:, 0]) + np.logaddexp(0, out[:, 1])).mean())
        if not self.classes:
            return float(((out.reshape(y.shape) - y) ** 2).mean())
        out, y = out.reshape(-1, out.shape[-1]), y.reshape(-1)
        shifted = out - out.max(1, keepdims=True)
        return float((np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(y)), y]).mean())


@dataclass(frozen=True)
class Case:
    """One race. `tolerance` is how far apart, relative to the reference, final losses may lie.

    It is wide where everyone shuffles in an order of their own and the last few batches move the loss. What shows that
    all do the same is `trial`. `whole`: what counts is the whole process, imports and all.
    """

    title: str
    nets: Mapping[str, tuple[Layer, ...]]
    batch: int
    make: Callable[[int], Data]
    quick: Length
    full: Length
    tolerance: float
    whole: bool = False

    def task(self, length: Length, seed: int) -> Task:
        """Data and initial weights, the same on every call; `seed` is for the order of the examples."""
        return Task(self.nets, self._weights(), self.make(length.examples), self.batch, seed)

    def trial(self) -> Task:
        """All examples in one batch, so that an epoch is a step and no order matters: losses must come out the same."""
        examples = min(TRIAL_EXAMPLES, self.quick.examples)
        return Task(self.nets, self._weights(), self.make(examples), examples, 0)

    def _weights(self) -> dict[str, list[Weights]]:
        return {name: draw(layers, seed) for seed, (name, layers) in enumerate(self.nets.items())}


def draw(layers: tuple[Layer, ...], seed: int) -> list[Weights]:
    """Normal weights of variance 2 / inputs (He et al. 2015, equation (10)), biases of zero.

    A recurrent layer has two weights, from its inputs and from its own past, of variance 1 / (3 outputs).
    """
    random = np.random.default_rng(seed)
    found = []
    for layer in layers:
        if layer.kind in ("linear", "conv"):
            shape = (layer.outputs, layer.inputs) + ((3, 3) if layer.kind == "conv" else ())
            scale = math.sqrt(2 / math.prod(shape[1:]))
            weight = (random.standard_normal(shape) * scale).astype(np.float32)
            found.append(Weights(weight, np.zeros(layer.outputs, np.float32)))
        elif layer.kind == "embedding":
            weight = random.standard_normal((layer.inputs, layer.outputs)).astype(np.float32)
            found.append(Weights(weight, np.zeros(0, np.float32)))
        elif layer.kind in GATES:
            rows = GATES[layer.kind] * layer.outputs
            for columns in (layer.inputs, layer.outputs):
                weight = (random.standard_normal((rows, columns)) / math.sqrt(3 * layer.outputs)).astype(np.float32)
                found.append(Weights(weight, np.zeros(rows, np.float32)))
    return found


def perceptron(*sizes: int) -> tuple[Layer, ...]:
    """Linear layers with ReLU between them."""
    layers = []
    for before, after in itertools.pairwise(sizes):
        layers += [Layer("linear", before, after), Layer("relu")]
    return tuple(layers[:-1])


def table(examples: int) -> Data:
    """Eight standard normal columns and a smooth function of them with noise, about as long as California housing."""
    random = np.random.default_rng(0)
    x = random.standard_normal((examples, 8), dtype=np.float32)
    y = np.sin(x[:, 0] + x[:, 1]) + 0.5 * x[:, 2] + 0.3 * random.standard_normal(examples, dtype=np.float32)
    return Data(x, y[:, None].astype(np.float32), "generated table")


def pictures(examples: int) -> Data:
    """The first pictures of Fashion-MNIST (N, 1, 28, 28), standardised; where its files are not there, noise."""
    folder = Path(os.environ.get("PENSTOCK_DATA", "")) / "fashion-mnist"
    if not (folder / "train-images-idx3-ubyte.gz").is_file():
        random = np.random.default_rng(0)
        x = random.standard_normal((examples, 1, 28, 28), dtype=np.float32)
        return Data(x, random.integers(0, 10, examples), "random pictures")
    raw = _idx(folder / "train-images-idx3-ubyte.gz", 16, examples * 784).reshape(examples, 1, 28, 28)
    x = (raw.astype(np.float32) / 255 - FASHION_MEAN) / FASHION_STD
    return Data(x, _idx(folder / "train-labels-idx1-ubyte.gz", 8, examples).astype(np.int64), "fashion-mnist")


def flat_pictures(examples: int) -> Data:
    """The same as rows (N, 784)."""
    x, y, origin = pictures(examples)
    return Data(x.reshape(examples, -1), y, origin)


def circle(examples: int) -> Data:
    """Points on the unit circle (N, 2), to be imitated."""
    angle = 2 * np.pi * np.random.default_rng(0).random(examples)
    points = np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32)
    return Data(points, np.zeros((examples, 1), np.float32), "points on a circle")


def characters(examples: int) -> Data:
    """Windows of tinyshakespeare (N, 64), and the character after each (N, 64); without its file, random text."""
    file = Path(os.environ.get("PENSTOCK_DATA", "")) / "tinyshakespeare" / "input.txt"
    needed = examples * STEPS + 1
    if not file.is_file():
        text, origin = np.random.default_rng(0).integers(0, CHARACTERS, needed), "random text"
    else:
        text, origin = np.unique(np.frombuffer(file.read_bytes(), np.uint8), return_inverse=True)[1], "tinyshakespeare"
    x, y = (text[at : at + examples * STEPS].reshape(examples, STEPS).astype(np.int64) for at in (0, 1))
    return Data(x, y, origin)


def diabetes(examples: int) -> Data:
    """The first rows of the embedded table, standardised."""
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    x, y = x[:examples], y[:examples, None]
    return Data(
        ((x - x.mean(0)) / x.std(0)).astype(np.float32), ((y - y.mean()) / y.std()).astype(np.float32), "diabetes"
    )


def _idx(path: Path, header: int, count: int) -> np.ndarray:
    with gzip.open(path) as file:
        return np.frombuffer(file.read(header + count), np.uint8, offset=header)


_SMALL = perceptron(8, 64, 64, 1)
_CNN = (
    *(Layer("conv", 1, 32), Layer("relu"), Layer("pool")),
    *(Layer("conv", 32, 64), Layer("relu"), Layer("pool"), Layer("flatten")),
    *(Layer("linear", 64 * 49, 128), Layer("relu"), Layer("linear", 128, 10)),
)


def _recurrent(kind: str) -> Case:
    layers = (Layer("embedding", CHARACTERS, 256), Layer(kind, 256, 256), Layer("linear", 256, CHARACTERS))
    return Case(
        title=f"{kind.upper()} 1 x 256 on characters, batch 64; a sample is 64 characters",
        nets={"model": layers},
        batch=64,
        make=characters,
        quick=Length(2_560, 1, 2),
        full=Length(5_120, 1, 3),
        tolerance=0.03,
    )


# Examples are whole batches, so that no library compiles a second time for a smaller last one.
CASES: dict[str, Case] = {
    "table": Case(
        title="MLP 8-64-64-1 on a table, batch 256",
        nets={"model": _SMALL},
        batch=256,
        make=table,
        quick=Length(20_480, 5, 20),
        full=Length(20_480, 5, 60),
        tolerance=0.1,
    ),
    "cnn": Case(
        title="CNN conv32-conv64-fc128 on 28 x 28 pictures, batch 128",
        nets={"model": _CNN},
        batch=128,
        make=pictures,
        quick=Length(5_120, 1, 2),
        full=Length(10_240, 1, 4),
        tolerance=0.25,
    ),
    "mlp": Case(
        title="MLP 784-300-100-10 on 28 x 28 pictures, batch 128",
        nets={"model": perceptron(784, 300, 100, 10)},
        batch=128,
        make=flat_pictures,
        quick=Length(20_480, 1, 4),
        full=Length(40_960, 1, 6),
        tolerance=0.25,
    ),
    "lstm": _recurrent("lstm"),
    "gru": _recurrent("gru"),
    "pair": Case(
        title="Adversarial pair on points, 2-64-64-2 and 2-64-64-1, batch 256",
        nets={"generator": perceptron(2, 64, 64, 2), "discriminator": perceptron(2, 64, 64, 1)},
        batch=256,
        make=circle,
        quick=Length(20_480, 5, 10),
        full=Length(20_480, 5, 40),
        tolerance=0.15,
    ),
    "overhead": Case(
        title="The engine against a bare loop, gradients clipped: MLP 8-64-64-1, batch 256",
        nets={"model": _SMALL},
        batch=256,
        make=table,
        quick=Length(20_480, 5, 30),
        full=Length(20_480, 5, 120),
        tolerance=1e-3,
    ),
    "short": Case(
        title="A short job, whole process: 100 steps of MLP 10-64-64-1 on the embedded diabetes table, batch 32",
        nets={"model": perceptron(10, 64, 64, 1)},
        batch=32,
        make=diabetes,
        quick=Length(320, 0, 10),
        full=Length(320, 0, 10),
        tolerance=0.2,
        whole=True,
    ),
}
