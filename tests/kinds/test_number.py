from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from penstock.core.errors import DataError
from penstock.core.objective import Evaluation
from penstock.kinds.number import MOST_POINTS, NumberAnswer

VALUES = np.random.default_rng(0).normal(100, 20, 50)
LABELS = pd.Series(VALUES, index=[f"t.csv:{i}" for i in range(50)], name="价格")
ROWS = np.arange(0, 50, 3)


def evaluation(rows: int) -> Evaluation:
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(rows, generator=generator, dtype=torch.float64)
    return Evaluation({}, {"prediction": target + 0.1 * torch.randn(rows, generator=generator), "target": target})


def test_standardised_by_the_training_rows() -> None:
    found = NumberAnswer.fit(LABELS, ROWS)
    expected = (VALUES - VALUES[ROWS].mean()) / VALUES[ROWS].std()
    assert found.encode(LABELS).numpy() == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert found.outputs == 1
    again = NumberAnswer.from_json(json.loads(json.dumps(found.to_json())))
    assert again.scale == found.scale
    facts = found.facts(LABELS, {})
    assert facts["target"]["name"] == "价格"
    assert facts["classes"] is None
    assert f"{VALUES.max():,.6g}" in facts["target"]["detail"]


@pytest.mark.parametrize(("value", "problem"), [(None, "missing"), ("much", "'much'")])
def test_labels_that_are_no_numbers(value: object, problem: str) -> None:
    labels = LABELS.astype(object)
    labels.iloc[6] = value
    with pytest.raises(DataError, match=rf"t\.csv:6.*{problem}"):
        NumberAnswer.fit(labels, ROWS)


def test_the_baseline_is_the_mean_of_training() -> None:
    found = NumberAnswer.fit(LABELS, ROWS)
    rest = np.setdiff1d(np.arange(50), ROWS)
    guess = np.full(len(rest), VALUES[ROWS].mean())
    metrics = found.baseline(LABELS.iloc[rest])["metrics"]
    assert metrics["rmse"] == pytest.approx(np.sqrt(mean_squared_error(VALUES[rest], guess)), rel=1e-5)
    assert metrics["mae"] == pytest.approx(mean_absolute_error(VALUES[rest], guess), rel=1e-5)
    assert metrics["r2"] == pytest.approx(r2_score(VALUES[rest], guess), abs=1e-5)


def test_findings() -> None:
    found = NumberAnswer.fit(LABELS, ROWS).findings(evaluation(5 * MOST_POINTS))["regression"]
    records = evaluation(5 * MOST_POINTS).records
    assert found["points"] == torch.stack([records["target"], records["prediction"]], 1)[::5].tolist()
    residual = (records["prediction"] - records["target"]).numpy()
    low, high = np.quantile(residual, [0.005, 0.995])
    assert (found["residuals"]["edges"][0], found["residuals"]["edges"][-1]) == pytest.approx((low, high))
    counts = found["residuals"]["counts"]
    assert sum(counts) == len(residual)  # the tails are in the end bins
    inside = ((residual >= low) & (residual <= high)).sum()
    assert sum(counts[1:-1]) < inside < len(residual)


def test_findings_where_all_is_right() -> None:
    exact = Evaluation({}, {"prediction": torch.ones(3), "target": torch.ones(3)})
    found = NumberAnswer.fit(LABELS, ROWS).findings(exact)["regression"]
    assert sum(found["residuals"]["counts"]) == 3


def test_the_largest_residuals_come_first() -> None:
    records = Evaluation({}, {"prediction": torch.tensor([1.0, 5.0, -3.0]), "target": torch.tensor([1.5, 2.0, 1.0])})
    found = NumberAnswer.fit(LABELS, ROWS).mistakes(records, 2)
    assert [(row, said["residual"]) for row, said in found] == [(2, -4.0), (1, 3.0)]
    assert found[0][1] == {"truth": 1.0, "predicted": -3.0, "residual": -4.0}


def test_said() -> None:
    assert NumberAnswer.fit(LABELS, ROWS).say(torch.tensor([1.5, -2.0])) == [{"prediction": 1.5}, {"prediction": -2.0}]
