from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from penstock.data.decoding_rows import rows_of
from penstock.data.features import TableEncoder

FRAME = pd.DataFrame(
    {
        "年龄": [3.5, None, 41.0, 7.25, 12.0, 19.0],
        "tall": ["yes", "no", "no", "yes", "no", "no"],
        "day": ["2024-02-29", "2023-01-01", "2021-07-14", "2020-12-31", "2022-03-03", "2024-10-05"],
        "animal": ["cat", "dog", None, "cat", "鸟", "dog"],
    },
    index=[f"t.csv:{row}" for row in range(2, 8)],
)
KINDS = {"年龄": "number", "tall": "boolean", "day": "date", "animal": "category"}


def encoded(frame: pd.DataFrame, encoder: TableEncoder) -> torch.Tensor:
    """As a decoder that is certain would give it."""
    found = encoder.encode(frame)
    parts = [found["numbers"]]
    for at, count in enumerate(encoder.cardinalities):
        parts.append(functional.one_hot(found["categories"][:, at], count).float())
    return torch.cat(parts, 1)


@pytest.mark.parametrize("scaling", ["standard", "quantile"])
def test_rows_come_back(scaling: Any) -> None:
    encoder = TableEncoder.fit(FRAME, KINDS, scaling=scaling)
    back = rows_of(encoder, encoded(FRAME, encoder), list(FRAME.index))
    assert list(back.index) == list(FRAME.index)
    known = FRAME["年龄"].notna()
    np.testing.assert_allclose(back["年龄"][known].astype(float), FRAME["年龄"][known], rtol=1e-4)
    assert back["年龄"][~known].isna().all()
    assert back["tall"].tolist() == [True, False, False, True, False, False]
    assert back["day"].tolist() == FRAME["day"].tolist()
    assert back["animal"].where(back["animal"].notna(), None).tolist() == FRAME["animal"].tolist()


def test_a_value_never_seen_is_no_answer() -> None:
    encoder = TableEncoder.fit(FRAME[["animal"]], {"animal": "category"})
    odd = torch.tensor([[9.0, 0.1, 0.2, 0.7, 0.0]])
    assert rows_of(encoder, odd, ["x"])["animal"].tolist() == ["dog"]
