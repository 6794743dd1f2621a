"""Recurrent networks on torch's own primitives. B batch, T time, C channels, L layers, H hidden width."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor, nn

from penstock.core.errors import RecipeError
from penstock.models.trunk import Carry, Causal
from penstock.nn.sizes import require_dropout, require_given, require_sizes


class Recurrent(Causal, ABC):
    """One of torch's recurrent primitives, `layers` deep: (B, T, inputs) to (B, T, width).

    Dropout acts between the layers. Padding comes after the steps that are real, which do not see it, so that whole
    tensors go through the primitive, much faster than packed sequences do.
    """

    cells: nn.RNNBase

    def __init__(self, cells: nn.RNNBase) -> None:
        super().__init__()
        self.cells = cells
        self.inputs, self.outputs = cells.input_size, cells.hidden_size
        initialise(cells)

    def begin(self, examples: int) -> Carry:
        """Zeros (B, L, H), as many as the cell has states."""
        state = self.cells.get_parameter("weight_hh_l0").new_zeros(examples, self.cells.num_layers, self.outputs)
        return (state,) * self.states

    def advance(self, x: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """The next steps (B, T, inputs): (B, T, width), and the states after the last, (B, L, H) each."""
        require_given(type(self).__name__, "numbers a step", self.inputs, x.shape[2])
        if not x.shape[1]:  # the primitives refuse it
            return x.new_zeros(len(x), 0, self.outputs), carry
        kind = self.cells.get_parameter("weight_hh_l0").dtype  # under autocast they come in another
        states = tuple(state.transpose(0, 1).contiguous() for state in carry)
        if x.device.type == "cpu" and _in_halves():  # which the primitives do not know there
            with torch.autocast("cpu", enabled=False):
                found, states = self.run(x.to(kind), tuple(state.to(kind) for state in states))
        else:
            found, states = self.run(x, states)
        return found, tuple(state.transpose(0, 1).to(kind) for state in states)

    @property
    @abstractmethod
    def states(self) -> int:
        """How many tensors the cell remembers."""

    @abstractmethod
    def run(self, x: Tensor, states: Carry) -> tuple[Tensor, Carry]:
        """The primitive, with states (L, B, H)."""


@final
class Elman(Recurrent):
    """h = tanh(W x + U h + b): the hidden state goes into the next step.

    Elman 1990, "Finding structure in time".
    """

    states = 1

    def __init__(self, *, inputs: int, width: int, layers: int = 1, dropout: float = 0.0) -> None:
        _require("Elman", inputs, width, layers, dropout)
        super().__init__(nn.RNN(inputs, width, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0))

    def run(self, x: Tensor, states: Carry) -> tuple[Tensor, Carry]:
        found, state = self.cells(x, *states)
        return found, (state,)


@final
class LSTM(Recurrent):
    """A cell of its own beside the hidden state, guarded by an input, a forget and an output gate.

    Hochreiter and Schmidhuber 1997, "Long short-term memory", with the forget gate of Gers et al. 2000. The forget gate
    starts open, by `forget_bias` (Jozefowicz et al. 2015, section 4.2), or the memory would halve with each step; a
    negative `gate_bias` starts the input and output gates closed, so that a memory is left in peace until it is needed.
    `memory`: from the start each unit remembers a number of steps of its own, up to so many, and takes in as little as
    it forgets (chrono initialisation: Tallec and Ollivier 2018, "Can recurrent neural networks warp time?", section
    2.2), instead of `forget_bias` and the input gate's `gate_bias`.
    """

    states = 2

    def __init__(
        self,
        *,
        inputs: int,
        width: int,
        layers: int = 1,
        dropout: float = 0.0,
        forget_bias: float = 1.0,
        gate_bias: float = 0.0,
        memory: int | None = None,
    ) -> None:
        _require("LSTM", inputs, width, layers, dropout)
        if memory is not None and memory < 3:
            raise RecipeError("LSTM", f"memory is {memory}", "give a number of steps of at least 3")
        super().__init__(nn.LSTM(inputs, width, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0))
        for layer in range(layers):
            gates = self.cells.get_parameter(f"bias_ih_l{layer}").detach().view(4, width)
            gates[0] = gates[3] = gate_bias  # torch's order: input, forget, candidate, output
            gates[1] = forget_bias
            if memory is not None:
                gates[1].uniform_(1, memory - 1).log_()
                gates[0] = -gates[1]

    def run(self, x: Tensor, states: Carry) -> tuple[Tensor, Carry]:
        hidden, cell = states
        found, after = self.cells(x, (hidden, cell))
        return found, after


@final
class GRU(Recurrent):
    """One gate that opens for the new as it closes for the old, and one that forgets; fewer weights than an LSTM.

    Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder", in the variant of torch, in which the
    reset gate acts after the product with the hidden state.
    """

    states = 1

    def __init__(self, *, inputs: int, width: int, layers: int = 1, dropout: float = 0.0) -> None:
        _require("GRU", inputs, width, layers, dropout)
        super().__init__(nn.GRU(inputs, width, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0))

    def run(self, x: Tensor, states: Carry) -> tuple[Tensor, Carry]:
        found, state = self.cells(x, *states)
        return found, (state,)


def _in_halves() -> bool:
    """Whether the processor is to compute in float16."""
    return torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.float16


def initialise(cells: nn.RNNBase) -> None:
    """Orthogonal recurrent weights, gate by gate, which keep the length of a state; Glorot's for inputs; no biases.

    Saxe et al. 2014, "Exact solutions to the nonlinear dynamics of learning", section 3; Glorot and Bengio 2010.
    """
    for name, value in cells.named_parameters():
        for gate in value.detach().view(-1, cells.hidden_size, *value.shape[1:]):
            if name.startswith("weight_hh"):
                nn.init.orthogonal_(gate)
            elif name.startswith("weight_ih"):
                nn.init.xavier_uniform_(gate)
            else:
                nn.init.zeros_(gate)


def _require(where: str, inputs: int, width: int, layers: int, dropout: float) -> None:
    require_sizes(where, inputs=inputs, width=width, layers=layers)
    require_dropout(where, dropout)
