"""Linear and logistic regression. B batch."""

from __future__ import annotations

from torch import Tensor, nn

from penstock.nn.sizes import require_given, require_sizes


class Linear(nn.Module):
    """One weighted sum an output, of everything that comes in: (B, ...) to (B, outputs)."""

    def __init__(self, *, inputs: int, outputs: int) -> None:
        super().__init__()
        require_sizes("Linear", inputs=inputs, outputs=outputs)
        self.inputs = inputs
        self.head = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)  # (B, inputs)
        require_given("Linear", "inputs", self.inputs, x.shape[1])
        logits: Tensor = self.head(x)  # (B, outputs)
        return logits
