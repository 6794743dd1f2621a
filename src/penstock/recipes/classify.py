"""Classification: which of K classes is it?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from penstock.recipes.labelled import Labelled
from penstock.recipes.recipe import Where

if TYPE_CHECKING:
    from penstock.kinds.answer import Answer
    from penstock.kinds.kind import Material


class Classify(Labelled):
    """Tell classes of pictures, texts, sounds or table rows apart."""

    task: ClassVar[str] = "classify"
    summary: ClassVar[str] = "tell classes of pictures, texts, sounds or table rows apart"
    example: ClassVar[str] = "penstock train classify --data fashion-mnist --model cnn --epochs 10"
    activity: ClassVar[str] = "classification"
    headline: ClassVar[Sequence[str]] = ("accuracy", "error", "f1", "loss")

    data: Where = "digits"
    monitor: Annotated[str, Field(description="the validation metric that chooses the best weights")] = "accuracy"
    ema: Annotated[
        float | None, Field(gt=0, lt=1, description="evaluate and keep a moving average of the weights; none: do not")
    ] = 0.99
    smoothing: Annotated[float, Field(ge=0, lt=1, description="label smoothing")] = 0.0
    class_weights: Annotated[
        Literal["none", "balanced"], Field(description="balanced: every class counts alike, however rare")
    ] = "none"

    def objective_options(self, answer: Answer) -> dict[str, Any]:
        """Label smoothing and class weights."""
        from penstock.kinds.category import CategoryAnswer

        assert isinstance(answer, CategoryAnswer)
        weights = answer.class_weights() if self.class_weights == "balanced" else None
        return {"smoothing": self.smoothing, "class_weights": weights}

    def fit_answer(self, material: Material, rows: Any) -> Answer:
        """The classes of the training rows."""
        from penstock.kinds.category import CategoryAnswer

        return CategoryAnswer.fit(material.labels, rows)

    def strata(self, material: Material) -> Any:
        """The classes."""
        from penstock.core.errors import DataError
        from penstock.data.features import Classes

        classes, rows = Classes.fit(material.labels), len(material.labels)
        if len(classes.names) > max(rows // 2, 2):
            found = (
                f"the target {str(material.labels.name)!r} has {len(classes.names):,} different values in {rows:,} rows"
            )
            raise DataError(material.origin, found, "these are no classes: choose another target, or train regress")
        return classes.encode(material.labels).numpy()
