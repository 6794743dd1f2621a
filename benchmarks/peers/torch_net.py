"""The task's network as a plain torch module, for every contestant that trains one."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from peers.cases import Layer, Task, Weights


def build(layers: tuple[Layer, ...], weights: list[Weights]) -> nn.Sequential:
    """The layers with these initial weights."""
    left = iter(weights)
    modules: list[nn.Module] = []
    for layer in layers:
        match layer.kind:
            case "linear":
                modules.append(_filled(nn.Linear(layer.inputs, layer.outputs), next(left)))
            case "conv":
                modules.append(_filled(nn.Conv2d(layer.inputs, layer.outputs, 3, padding=1), next(left)))
            case "relu":
                modules.append(nn.ReLU())
            case "pool":
                modules.append(nn.MaxPool2d(2))
            case "embedding":
                modules.append(nn.Embedding.from_pretrained(torch.tensor(next(left).weight), freeze=False))
            case "lstm" | "gru":
                modules.append(Recurrent(layer, next(left), next(left)))
            case _:
                modules.append(nn.Flatten())
    return nn.Sequential(*modules)


class Recurrent(nn.Module):
    """A recurrent layer of torch's, of which the next layer is given the output of every step."""

    def __init__(self, layer: Layer, *weights: Weights) -> None:
        super().__init__()
        kind = nn.LSTM if layer.kind == "lstm" else nn.GRU
        self.layer = kind(layer.inputs, layer.outputs, batch_first=True)
        with torch.no_grad():
            for name, given in zip(("ih", "hh"), weights, strict=True):
                getattr(self.layer, f"weight_{name}_l0").copy_(torch.from_numpy(given.weight))
                getattr(self.layer, f"bias_{name}_l0").copy_(torch.from_numpy(given.bias))

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, inputs) to (B, T, outputs)."""
        found: Tensor = self.layer(x)[0]
        return found


class EveryStep(nn.Module):
    """Cross-entropy over all steps."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Logits (B, T, K) against classes (B, T)."""
        return F.cross_entropy(output.flatten(0, 1), target.flatten())


def model(task: Task) -> nn.Sequential:
    """The only network of a task of one role."""
    return build(task.nets["model"], task.weights["model"])


def tensors(task: Task) -> tuple[Tensor, Tensor]:
    """Examples and answers."""
    return torch.from_numpy(task.data.x), torch.from_numpy(task.data.y)


def criterion(task: Task) -> nn.Module:
    """The loss that is minimised."""
    if task.classes and task.data.y.ndim > 1:
        return EveryStep()
    return nn.CrossEntropyLoss() if task.classes else nn.MSELoss()


@torch.no_grad()
def outputs(net: nn.Module, x: np.ndarray) -> np.ndarray:
    """The trained network's outputs in float32."""
    net.eval()
    return torch.cat([net(part) for part in torch.from_numpy(x).split(1024)]).numpy()


@torch.no_grad()
def pair_outputs(task: Task, generator: nn.Module, discriminator: nn.Module) -> np.ndarray:
    """The discriminator's logits (N, 2): on the true examples, and on as many made ones."""
    made = outputs(generator, task.noise(task.nets["generator"][0].inputs))
    return np.concatenate([outputs(discriminator, task.data.x), outputs(discriminator, made)], 1)


def _filled(layer: nn.Linear | nn.Conv2d, given: Weights) -> nn.Module:
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(given.weight))
        assert layer.bias is not None
        layer.bias.copy_(torch.from_numpy(given.bias))
    return layer
