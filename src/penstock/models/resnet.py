"""Residual networks for photographs. B batch, C channels, H W height width, K classes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from penstock.nn.sizes import require_given, require_sizes


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a way round them: (B, inputs, H, W) to (B, outputs, H / stride, W / stride).

    `downsample` is the way round. He et al. 2016, "Deep residual learning for image recognition", figure 5, left.
    """

    expansion = 1

    def __init__(self, inputs: int, outputs: int, stride: int, downsample: nn.Module) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))  # (B, outputs, H', W')
        y = self.bn2(self.conv2(y))
        out: Tensor = self.relu(y + self.downsample(x))
        return out


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions and a way round them, the middle ones a quarter as wide as the outputs.

    He et al. 2016, figure 5, right, except that the stride is on the 3 x 3 convolution instead of the first 1 x 1, the
    change known as "v1.5": the 1 x 1 would throw three pixels of four away unseen.
    """

    expansion = 4

    def __init__(self, inputs: int, outputs: int, stride: int, downsample: nn.Module) -> None:
        super().__init__()
        width = outputs // self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))  # (B, width, H, W)
        y = self.relu(self.bn2(self.conv2(y)))  # (B, width, H', W')
        y = self.bn3(self.conv3(y))  # (B, outputs, H', W')
        out: Tensor = self.relu(y + self.downsample(x))
        return out


class ResNet(nn.Module):
    """A strided stem, four stages of residual blocks and a linear layer on channel means: (B, C, H, W) to (B, K).

    He et al. 2016, table 1, with projections where the shape changes (option B). The picture shrinks 32 times, so it
    should be of 64 pixels a side or more; for smaller ones see `resnet_cifar`. Weights start with He's variance, the
    last layer at a standard deviation of 0.01, and the last normalisation of each block with a scale of zero, so that
    every block starts as the identity (Goyal et al. 2017, "Accurate, large minibatch SGD", section 5.1). Parameters
    have the names under which trained ResNets are commonly published.
    """

    def __init__(
        self, *, block: type[BasicBlock] | type[Bottleneck], layers: Sequence[int], outputs: int, channels: int = 3
    ) -> None:
        super().__init__()
        require_sizes("ResNet", outputs=outputs, channels=channels)
        self.channels = channels
        self.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(block, 64, 64 * block.expansion, layers[0], stride=1)
        self.layer2 = _stage(block, 64 * block.expansion, 128 * block.expansion, layers[1], stride=2)
        self.layer3 = _stage(block, 128 * block.expansion, 256 * block.expansion, layers[2], stride=2)
        self.layer4 = _stage(block, 256 * block.expansion, 512 * block.expansion, layers[3], stride=2)
        self.fc = nn.Linear(512 * block.expansion, outputs)
        initialise(self)
        for module in self.modules():
            if isinstance(module, BasicBlock):
                nn.init.zeros_(module.bn2.weight)
            elif isinstance(module, Bottleneck):
                nn.init.zeros_(module.bn3.weight)

    def forward(self, x: Tensor) -> Tensor:
        require_given("ResNet", "channels", self.channels, x.shape[1])
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # (B, 64, H / 4, W / 4)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (B, 512 expansion, H / 32, W / 32)
        logits: Tensor = self.fc(x.mean((2, 3)))  # (B, K)
        return logits


def resnet18(*, outputs: int, channels: int = 3) -> ResNet:
    """The ResNet of 18 layers."""
    return ResNet(block=BasicBlock, layers=(2, 2, 2, 2), outputs=outputs, channels=channels)


def resnet34(*, outputs: int, channels: int = 3) -> ResNet:
    """The ResNet of 34 layers."""
    return ResNet(block=BasicBlock, layers=(3, 4, 6, 3), outputs=outputs, channels=channels)


def resnet50(*, outputs: int, channels: int = 3) -> ResNet:
    """The ResNet of 50 layers."""
    return ResNet(block=Bottleneck, layers=(3, 4, 6, 3), outputs=outputs, channels=channels)


def initialise(network: nn.Module) -> None:
    """Convolutions get He's variance over outputs, as normalisation sees to the way forward; linear layers get 0.01.

    He et al. 2015, "Delving deep into rectifiers", equation (14); for the last layer Goyal et al. 2017, section 5.1.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)


def _stage(
    block: type[BasicBlock] | type[Bottleneck], inputs: int, outputs: int, layers: int, stride: int
) -> nn.Sequential:
    """Residual blocks of one width, of which the first changes the shape."""
    project: nn.Module = nn.Identity()
    if stride > 1 or inputs != outputs:
        project = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
    blocks = [block(inputs, outputs, stride, project)]
    blocks += [block(outputs, outputs, 1, nn.Identity()) for _ in range(layers - 1)]
    return nn.Sequential(*blocks)
