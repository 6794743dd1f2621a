"""The one list of metric names, and which way each is better."""

from __future__ import annotations

from penstock.core.errors import RecipeError, suggest

LOWER_IS_BETTER = frozenset(
    {"loss", "error", "rmse", "mae", "mase", "perplexity", "bits_per_character", "cer", "wer", "pinball", "frechet"}
)
HIGHER_IS_BETTER = frozenset(
    {"accuracy", "f1", "auc", "r2", "bleu", "chrf", "exact_match", "elbo", "iwelbo", "codes_used", "return"}
    | {"precision", "recall", "density", "coverage"}
)


def higher_is_better(name: str) -> bool:
    """The direction of a metric. Raises RecipeError for a name that is not in the list."""
    if name in HIGHER_IS_BETTER:
        return True
    if name in LOWER_IS_BETTER:
        return False
    raise RecipeError(
        "monitor", f"no metric is called {name!r}", suggest(name, sorted(LOWER_IS_BETTER | HIGHER_IS_BETTER))
    )
