"""Residual networks for small pictures, such as 32 x 32. B batch, C channels, H W height width, K classes."""

from __future__ import annotations

from torch import Tensor, nn

from penstock.models.resnet import BasicBlock, initialise
from penstock.nn.shortcut import ZeroPadShortcut
from penstock.nn.sizes import require_given, require_sizes


class CifarResNet(nn.Module):
    """A 3 x 3 convolution, three stages of residual blocks and a linear layer on channel means: (B, C, H, W) to (B, K).

    He et al. 2016, "Deep residual learning for image recognition", section 4.2: 6 `blocks` + 2 layers of 16, 32 and 64
    channels, and ways round the blocks without parameters (option A).
    """

    def __init__(self, *, blocks: int, outputs: int, channels: int = 3) -> None:
        super().__init__()
        require_sizes("CifarResNet", blocks=blocks, outputs=outputs, channels=channels)
        self.channels = channels
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        self.layer1 = _stage(16, 16, blocks, stride=1)
        self.layer2 = _stage(16, 32, blocks, stride=2)
        self.layer3 = _stage(32, 64, blocks, stride=2)
        self.fc = nn.Linear(64, outputs)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        require_given("CifarResNet", "channels", self.channels, x.shape[1])
        x = self.relu(self.bn1(self.conv1(x)))  # (B, 16, H, W)
        x = self.layer3(self.layer2(self.layer1(x)))  # (B, 64, H / 4, W / 4)
        logits: Tensor = self.fc(x.mean((2, 3)))  # (B, K)
        return logits


def resnet20(*, outputs: int, channels: int = 3) -> CifarResNet:
    """The small ResNet of 20 layers."""
    return CifarResNet(blocks=3, outputs=outputs, channels=channels)


def resnet32(*, outputs: int, channels: int = 3) -> CifarResNet:
    """The small ResNet of 32 layers."""
    return CifarResNet(blocks=5, outputs=outputs, channels=channels)


def resnet44(*, outputs: int, channels: int = 3) -> CifarResNet:
    """The small ResNet of 44 layers."""
    return CifarResNet(blocks=7, outputs=outputs, channels=channels)


def resnet56(*, outputs: int, channels: int = 3) -> CifarResNet:
    """The small ResNet of 56 layers."""
    return CifarResNet(blocks=9, outputs=outputs, channels=channels)


def _stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    """Residual blocks of one width, of which the first changes the shape."""
    way_round: nn.Module = nn.Identity()
    if stride > 1 or inputs != outputs:
        way_round = ZeroPadShortcut(inputs=inputs, outputs=outputs, stride=stride)
    first = BasicBlock(inputs, outputs, stride, way_round)
    return nn.Sequential(first, *(BasicBlock(outputs, outputs, 1, nn.Identity()) for _ in range(blocks - 1)))
