"""What suits each model of `generate`, where the user leaves it open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.recipes.blueprint import GAMES
from penstock.recipes.foreign import refuse_unused

if TYPE_CHECKING:
    from penstock.recipes.generate import Generate

EXAMPLES_SEEN = 1_500_000
"""How many training examples are gone through where the length is not given, within 10 to 200 epochs."""
LEAST_STEPS = 3000
EVALUATIONS = 24
LEAST_BETWEEN = 100
"""Steps between two evaluations, at least."""
LITTLE = 10_000
"""Examples up to which what the discriminator sees is moved, lest it learns them by heart."""


@dataclass(frozen=True)
class Choices:
    """What suits a model: learning rate, memory of Adam, width, loss, spectral norms, and how many held-out examples
    are measured, in training and at the end."""

    lr: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    width: int = 64
    loss: str = "non-saturating"
    spectral: bool = False
    ema: float | None = 0.999
    measured: tuple[int, int] = (1000, 10_000)


FEW = (128, 1000)
"""Where to make an example takes a gradient search or many steps."""
USUAL: Mapping[str, Choices] = {
    "dense": Choices(),
    "dcgan": Choices(lr=2e-3),
    "residual": Choices(betas=(0.0, 0.9), loss="hinge", spectral=True),
    "sagan": Choices(lr=2e-3),
    "vae-gan": Choices(lr=1e-3),
    "glo": Choices(lr=1e-3, betas=(0.9, 0.999), ema=None, measured=FEW),
    "energy": Choices(lr=1e-4, betas=(0.0, 0.999), width=32, measured=FEW),
    "diffusion": Choices(lr=1e-3, betas=(0.9, 0.999), measured=FEW),
}
"""Tried on small pictures and small machines; the papers' choices where those did not differ. Of `dcgan`, batch
normalisation in both players and a high rate learned more from as much computing than lower rates, R1 without it in the
discriminator, and spectral normalisation with the hinge loss; `sagan` has the same settings.
`benchmarks/generation.py` shows what they reach."""


USERS: Mapping[str, Sequence[str]] = {
    "gan": (*GAMES, "vae-gan", "energy"),
    "gan.likeness": ("vae-gan",),
    "gan.divergence": ("vae-gan",),
    "diffusion": ("diffusion",),
    "energy": ("energy",),
}
"""The models for which settings have a meaning."""


def resolved(recipe: Generate, examples: int) -> Generate:
    """The same recipe with what was left open decided by rule, so that its record says all.

    Raises RecipeError for a setting that has no meaning for the model.
    """
    model = "dcgan" if recipe.model == "auto" else recipe.model
    refuse_unused(recipe, model, USERS)
    usual, optim, gan, measure = USUAL[model], recipe.optim, recipe.gan, recipe.measure
    lr = optim.lr or usual.lr
    rates: dict[str, Any] = {"lr": lr, "weight_decay": optim.weight_decay or 0.0}
    rates["discriminator_lr"] = optim.discriminator_lr or lr
    rates["codes_lr"] = optim.codes_lr or float(recipe.batch_size)
    for name, value in zip(("beta1", "beta2"), usual.betas, strict=True):
        rates[name] = value if getattr(optim, name) is None else getattr(optim, name)
    bounded = gan.gradient_penalty is not None or gan.clip is not None
    game: dict[str, Any] = {
        "loss": usual.loss if gan.loss == "auto" else gan.loss,
        "spectral": (usual.spectral and not bounded) if gan.spectral is None else gan.spectral,
    }
    if gan.augment == "auto":
        game["augment"] = "translation" if examples <= LITTLE and model in GAMES else "off"
    spread = zip(("validation", "test"), usual.measured, strict=True)
    choices: dict[str, Any] = {
        "model": model,
        "optim": optim.model_copy(update=rates),
        "gan": gan.model_copy(update=game if model in USERS["gan"] else {}),
        "net": recipe.net.model_copy(update={"width": recipe.net.width or usual.width}),
        "measure": measure.model_copy(update={name: getattr(measure, name) or most for name, most in spread}),
    }
    if "ema" not in recipe.model_fields_set:
        choices["ema"] = usual.ema
    steps = -(-examples // recipe.batch_size)
    whole = recipe.epochs
    if recipe.epochs is None and recipe.steps is None and recipe.minutes is None:
        whole = float(round(max(min(max(EXAMPLES_SEEN / examples, 10), 200), LEAST_STEPS / steps)))
        choices["epochs"] = whole
    if "evaluate_every" not in recipe.model_fields_set:
        total = min(whole or 1e9, recipe.steps / steps if recipe.steps else 1e9)
        between = total / EVALUATIONS if total < 1e9 else 0.0
        choices["evaluate_every"] = max(between, LEAST_BETWEEN / steps) if between else max(1.0, 200 / steps)
    return recipe.model_copy(update=choices)
