"""Regression: how much is it?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from penstock.recipes.labelled import Labelled
from penstock.recipes.recipe import Where

if TYPE_CHECKING:
    from penstock.kinds.answer import Answer
    from penstock.kinds.kind import Material


class Regress(Labelled):
    """Predict a number from pictures, texts, sounds or table rows."""

    task: ClassVar[str] = "regress"
    summary: ClassVar[str] = "predict a number from pictures, texts, sounds or table rows"
    example: ClassVar[str] = "penstock train regress --data houses.csv --target price"
    activity: ClassVar[str] = "regression"
    headline: ClassVar[Sequence[str]] = ("rmse", "mae", "r2", "loss")

    data: Where = "diabetes"
    monitor: Annotated[str, Field(description="the validation metric that chooses the best weights")] = "rmse"
    precision: Annotated[
        Literal["auto", "float32", "bf16", "fp16"],
        Field(description="of the layers; an answer in bfloat16 has three digits, so that auto is for rough ones"),
    ] = "float32"
    criterion: Annotated[
        Literal["mse", "mae", "huber"], Field(description="the loss: squared error, absolute error, or in between")
    ] = "mse"

    def objective_options(self, answer: Answer) -> dict[str, Any]:
        """The criterion."""
        from torch.nn import functional as F

        return {"criterion": {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}[self.criterion]}

    def fit_answer(self, material: Material, rows: Any) -> Answer:
        """Mean and deviation of the training rows."""
        from penstock.kinds.number import NumberAnswer

        return NumberAnswer.fit(material.labels, rows)
