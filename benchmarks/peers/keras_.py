"""Keras, on the backend that KERAS_BACKEND names: torch or jax."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from peers.cases import Layer, Task, Weights
from peers.laps import Laps

EPSILON = 1e-9
"""Keras adds Kingma and Ba's "epsilon hat" (2015, section 2), which at the start of training weighs up to 30 times what
torch's epsilon of 1e-8 does: with this, the first steps are the same."""


class LapCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Sees epochs end."""

    def __init__(self, laps: Laps) -> None:
        super().__init__()
        self.laps = laps

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """An epoch is over; Keras has read its loss, for which the backend has been waited for."""
        self.laps.lap()


def train(task: Task, laps: Laps, *, policy: str = "float32", steps_per_execution: int = 1) -> np.ndarray:
    """`policy` as Keras names it. Pictures are laid out as the backend likes them: channels first for torch."""
    keras.utils.set_random_seed(task.seed)
    keras.config.set_dtype_policy(policy)
    first = keras.backend.backend() == "torch"
    keras.config.set_image_data_format("channels_first" if first else "channels_last")
    x, y = task.data.x, task.data.y
    if x.ndim == 4 and not first:
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    net = _build(task.nets["model"], x.shape[1:])
    _start(net, task.weights["model"], first)
    net.compile(
        optimizer=keras.optimizers.Adam(1e-3, epsilon=EPSILON),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True) if task.classes else "mse",
        steps_per_execution=steps_per_execution,
    )
    net.fit(x, y, batch_size=task.batch, epochs=laps.total, shuffle=True, verbose=0, callbacks=[LapCallback(laps)])
    return np.asarray(net.predict(x, batch_size=1024, verbose=0), np.float32)


def _build(layers: tuple[Layer, ...], shape: tuple[int, ...]) -> keras.Sequential:
    net = keras.Sequential([keras.Input(shape)])
    for index, layer in enumerate(layers):
        last = {"dtype": "float32"} if index == len(layers) - 1 else {}  # logits in full, as Keras's guide advises
        match layer.kind:
            case "linear":
                net.add(keras.layers.Dense(layer.outputs, **last))
            case "conv":
                net.add(keras.layers.Conv2D(layer.outputs, 3, padding="same"))
            case "relu":
                net.add(keras.layers.ReLU())
            case "pool":
                net.add(keras.layers.MaxPooling2D(2))
            case "embedding":
                net.add(keras.layers.Embedding(layer.inputs, layer.outputs))
            case "lstm":
                net.add(keras.layers.LSTM(layer.outputs, return_sequences=True))
            case "gru":
                net.add(keras.layers.GRU(layer.outputs, return_sequences=True))
            case _:
                net.add(keras.layers.Flatten())
    return net


def _start(net: keras.Sequential, weights: list[Weights], channels_first: bool) -> None:
    """Set the initial weights; Keras keeps a kernel's inputs before its outputs, and a GRU's gates as z r n."""
    left = iter(weights)
    channels = 0  # of the pictures that were flattened: Keras always puts the channels last there
    for layer in net.layers:
        if isinstance(layer, keras.layers.Flatten):
            channels = layer.input.shape[1 if channels_first else -1]
        elif isinstance(layer, keras.layers.Conv2D):
            weight, bias = next(left)
            layer.set_weights([weight.transpose(2, 3, 1, 0), bias])
        elif isinstance(layer, keras.layers.Embedding):
            layer.set_weights([next(left).weight])
        elif isinstance(layer, keras.layers.LSTM):
            (inputs, bias), (past, more) = next(left), next(left)
            layer.set_weights([inputs.T, past.T, bias + more])
        elif isinstance(layer, keras.layers.GRU):
            given = [_z_first(array) for weights in (next(left), next(left)) for array in weights]
            layer.set_weights([given[0].T, given[2].T, np.stack([given[1], given[3]])])
        elif isinstance(layer, keras.layers.Dense):
            weight, bias = next(left)
            if channels:
                pixels = weight.shape[1] // channels
                weight = weight.reshape(-1, channels, pixels).transpose(0, 2, 1).reshape(len(weight), -1)
                channels = 0
            layer.set_weights([weight.T, bias])


def _z_first(gates: np.ndarray) -> np.ndarray:
    """Rows of the gates r z n as z r n."""
    r, z, n = np.split(gates, 3)
    return np.concatenate([z, r, n])
