"""A trained forecaster: the last rows of a series in, what comes next out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from penstock.kinds.series import SeriesKind
from penstock.recipes.answering import Answering


@final
class Forecasting(Answering):
    """Says each step of the future by itself."""

    def predict(self, given: Sequence[object], *, batch_size: int = 256) -> list[dict[str, Any]]:
        """For each file or DataFrame, step and column: "input", "time", "column", "prediction" and "quantiles".

        Raises DataError where an input cannot be read, or is shorter than the model looks back.
        """
        assert isinstance(self.kind, SeriesKind)
        told, rows = self.kind.told, []
        for item, said in zip(given, super().predict(given, batch_size=batch_size), strict=True):
            _, timeline = self.kind.timeline(item)
            for step, moment in enumerate(timeline.after(self.kind.stretch.horizon)):
                for at, column in enumerate(told):
                    rows.append(
                        {
                            "input": said["input"],
                            "time": moment,
                            "column": column,
                            "prediction": said["prediction"][step][at],
                            "quantiles": {level: value[step][at] for level, value in said["quantiles"].items()},
                        }
                    )
        return rows
