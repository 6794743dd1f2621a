"""Ways round a residual block."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from penstock.core.errors import RecipeError
from penstock.nn.sizes import require_sizes


class ZeroPadShortcut(nn.Module):
    """Every stride-th pixel, with channels of zeros appended: (B, C, H, W) to (B, outputs, H', W'), no parameters.

    Heights and widths shrink as under a convolution of the same stride that pads its border, odd ones too. It is
    option A of He et al. 2016, "Deep residual learning for image recognition", section 3.3.
    """

    def __init__(self, *, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        require_sizes("ZeroPadShortcut", inputs=inputs, outputs=outputs, stride=stride)
        if outputs < inputs:
            raise RecipeError("ZeroPadShortcut", f"{outputs} outputs are fewer than {inputs} inputs", "widen the block")
        self.stride, self.extra = stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))
