"""The trunks that the tests of sequences go through, each small."""

from __future__ import annotations

from collections.abc import Callable

from penstock.models.both_ways import BothWays
from penstock.models.jordan import Jordan
from penstock.models.recurrent import GRU, LSTM, Elman
from penstock.models.tcn import TCN
from penstock.models.trunk import Causal, Trunk

SIZES = {"inputs": 3, "width": 4, "layers": 2}

CAUSAL: dict[str, Callable[[], Causal]] = {
    "elman": lambda: Elman(**SIZES),
    "jordan": lambda: Jordan(**SIZES),
    "lstm": lambda: LSTM(**SIZES),
    "gru": lambda: GRU(**SIZES),
    "tcn": lambda: TCN(**SIZES),
}
TRUNKS: dict[str, Callable[[], Trunk]] = {
    **CAUSAL,
    "lstm both ways": lambda: BothWays(lambda n: LSTM(inputs=n, width=4), inputs=3, layers=2),
    "gru both ways": lambda: BothWays(lambda n: GRU(inputs=n, width=4), inputs=3, layers=2),
    "jordan both ways": lambda: BothWays(lambda n: Jordan(inputs=n, width=4), inputs=3),
}
