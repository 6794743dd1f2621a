"""What tasks share whose answers are compared with given ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from penstock.core.errors import RecipeError
from penstock.recipes.supervised import Supervised

if TYPE_CHECKING:
    import numpy as np

    from penstock.core.objective import Evaluation
    from penstock.data.sources import InOrder
    from penstock.kinds.graded import GradedAnswer
    from penstock.kinds.kind import Material
    from penstock.recipes.answering import Answering

MOST_MISTAKES = 24


class Graded(Supervised):
    """A recipe that learns to give answers other than the example itself."""

    def check(self, trained: Answering, source: InOrder) -> None:
        """Raises RecipeError for a model that does not take the examples or does not answer as it should."""
        from penstock.recipes.answering import trying
        from penstock.recipes.trained import check_measured

        model = trained.network.eval()
        with trying(trained, source) as batch:
            output = model(*[batch[name] for name in trained.objective.inputs])
        if problem := _graded(trained).misfit(output, batch.size):
            raise RecipeError(f"model {trained.architecture}", *problem)
        check_measured(trained.objective, batch, self.monitor)

    def findings(self, trained: Answering, evaluation: Evaluation) -> dict[str, Any]:
        """What the report draws."""
        return _graded(trained).findings(evaluation)

    def judged(
        self, trained: Answering, evaluation: Evaluation, material: Material, rows: np.ndarray, split: str
    ) -> dict[str, Any]:
        """Beside the best answer that ignores the input, with the worst mistakes."""
        answer = _graded(trained)
        mistakes = answer.mistakes(evaluation, MOST_MISTAKES)
        return {
            "split": split,
            "examples": len(rows),
            "metrics": evaluation.metrics,
            "baseline": answer.baseline(material.labels.iloc[rows]),
            **self.findings(trained, evaluation),
            "mistakes": [said | material.show(int(rows[at])) for at, said in mistakes],
        }


def _graded(trained: Answering) -> GradedAnswer:
    return cast("GradedAnswer", trained.answer)
