"""Jordan's recurrent network. B batch, T time, L layers, H hidden width."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from penstock.models.trunk import Carry, Causal
from penstock.nn.sizes import require_dropout, require_given, require_sizes


@final
class Jordan(Causal):
    """h = tanh(W x + U y + b), y = tanh(V h + c): the *output* of a step goes into the next, not the hidden state.

    (B, T, inputs) to (B, T, width), `layers` deep, with dropout between the layers. Jordan 1986, "Serial order: a
    parallel distributed processing approach", with the plan as part of the input and no decay of what is fed back.
    """

    def __init__(self, *, inputs: int, width: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        require_sizes("Jordan", inputs=inputs, width=width, layers=layers)
        require_dropout("Jordan", dropout)
        self.inputs, self.outputs = inputs, width
        self.take = nn.ModuleList([nn.Linear(size, width) for size in [inputs] + [width] * (layers - 1)])
        self.recall = nn.ModuleList([nn.Linear(width, width, bias=False) for _ in range(layers)])
        self.tell = nn.ModuleList([nn.Linear(width, width) for _ in range(layers)])
        self.dropout = nn.Dropout(dropout)
        for name, value in self.named_parameters():
            if value.ndim == 1:
                nn.init.zeros_(value)
            elif name.startswith("take"):
                nn.init.xavier_uniform_(value)
            else:
                nn.init.orthogonal_(value)

    def begin(self, examples: int) -> Carry:
        """Outputs before the first step: zeros (B, L, H)."""
        return (self.recall[0].get_parameter("weight").new_zeros(examples, len(self.recall), self.outputs),)

    def advance(self, x: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """The next steps (B, T, inputs): (B, T, width), and the last output of each layer (B, L, H)."""
        require_given("Jordan", "numbers a step", self.inputs, x.shape[2])
        if not x.shape[1]:
            return x.new_zeros(len(x), 0, self.outputs), carry
        (before,) = carry
        last = []
        for layer, (take, recall, tell) in enumerate(zip(self.take, self.recall, self.tell, strict=True)):
            taken = take(x if layer == 0 else self.dropout(x))  # (B, T, H)
            y, outputs = before[:, layer], []
            for step in taken.unbind(1):
                y = torch.tanh(tell(torch.tanh(step + recall(y))))  # (B, H)
                outputs.append(y)
            x = torch.stack(outputs, 1)  # (B, T, H)
            last.append(y.to(before.dtype))
        return x, (torch.stack(last, 1),)
