"""The task's network as a plain torch module, for every contestant that trains one."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

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
            case _:
                modules.append(nn.Flatten())
    return nn.Sequential(*modules)


def model(task: Task) -> nn.Sequential:
    """The only network of a task of one role."""
    return build(task.nets["model"], task.weights["model"])


def tensors(task: Task) -> tuple[Tensor, Tensor]:
    """Examples and answers."""
    return torch.from_numpy(task.data.x), torch.from_numpy(task.data.y)


def criterion(task: Task) -> nn.Module:
    """The loss that is minimised."""
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
