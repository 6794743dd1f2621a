"""Networks that see a board, and tell what to do and how it will end. B boards, C planes, H W the board, A actions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn

from penstock.nn.sizes import require_sizes


class PolicyValue(nn.Module):
    """Boards (B, C, H, W) to the logits of actions (B, A), and what the player to move may expect (B,), in (-1, 1).

    `trunk` turns boards into features (B, F); `policy` and `worth` turn these into logits, and into (B, 1).
    """

    def __init__(self, trunk: nn.Module, policy: nn.Module, worth: nn.Module) -> None:
        super().__init__()
        self.trunk, self.policy, self.worth = trunk, policy, worth

    def forward(self, board: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(board)
        logits: Tensor = self.policy(features)
        value: Tensor = self.worth(features)
        return logits, value.squeeze(1).tanh()


@final
class BoardBlock(nn.Module):
    """Two 3 x 3 convolutions with a way round them: (B, width, H, W) to the same. Silver et al. 2017, methods."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        nn.init.zeros_(self.body[-1].weight)  # type: ignore[arg-type]  # at first it changes nothing

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.body(x))


def residual(
    *, planes: int, height: int, width: int, actions: int, channels: int = 32, blocks: int = 3, hidden: int = 64
) -> PolicyValue:
    """A tower of residual blocks with two heads, each narrowed by a 1 x 1 convolution first.

    Silver et al. 2017, "Mastering the game of Go without human knowledge", methods; both heads keep 4 channels.
    """
    require_sizes("residual", planes=planes, channels=channels, blocks=blocks, hidden=hidden, actions=actions)
    stem = [nn.Conv2d(planes, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
    trunk = nn.Sequential(*stem, *(BoardBlock(channels) for _ in range(blocks)))

    def narrowed() -> list[nn.Module]:
        return [nn.Conv2d(channels, 4, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()]

    flat = 4 * height * width
    worth = nn.Sequential(*narrowed(), nn.Linear(flat, hidden), nn.ReLU(), _small(nn.Linear(hidden, 1)))
    return PolicyValue(trunk, nn.Sequential(*narrowed(), _small(nn.Linear(flat, actions))), worth)


def flat(*, planes: int, height: int, width: int, actions: int, hidden: Sequence[int] = (128, 128)) -> PolicyValue:
    """Layers that see all points at once and know nothing of neighbours."""
    require_sizes("flat", layers=len(hidden))
    sizes = [planes * height * width, *hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return PolicyValue(nn.Sequential(*layers), _small(nn.Linear(sizes[-1], actions)), _small(nn.Linear(sizes[-1], 1)))


def _small(layer: nn.Linear) -> nn.Linear:
    """At first every action is nearly as likely, and every board nearly even."""
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)
    return layer
