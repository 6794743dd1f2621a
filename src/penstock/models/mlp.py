"""The multilayer perceptron. B batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from penstock.nn.initialise import activation_gain, normal_
from penstock.nn.sizes import require_dropout, require_given, require_sizes


class MLP(nn.Module):
    """Fully connected layers with an activation and dropout after each hidden one: (B, ...) to (B, outputs).

    Hidden weights are normal with He's variance, 2 / inputs for ReLU and its like for another activation (see
    `activation_gain`); the last layer, which no activation follows, has 1 / inputs; biases start at zero.
    """

    def __init__(
        self,
        *,
        inputs: int,
        outputs: int,
        hidden: Sequence[int] = (256, 256),
        activation: Callable[[], nn.Module] = nn.ReLU,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        require_sizes("MLP", inputs=inputs, outputs=outputs, **{f"hidden[{i}]": size for i, size in enumerate(hidden)})
        require_dropout("MLP", dropout)
        self.inputs = inputs
        gain = activation_gain(activation)
        layers: list[nn.Module] = []
        for before, after in zip([inputs, *hidden], hidden, strict=False):
            layer = nn.Linear(before, after)
            normal_(layer, gain)
            layers += [layer, activation()]
            if dropout > 0:
                layers.append(nn.Dropout(dropout))
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear([inputs, *hidden][-1], outputs)
        normal_(self.head, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)  # (B, inputs)
        require_given("MLP", "inputs", self.inputs, x.shape[1])
        logits: Tensor = self.head(self.body(x))  # (B, outputs)
        return logits
