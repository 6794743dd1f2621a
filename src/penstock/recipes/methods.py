"""What each method of autoencoding asks of a network, as an objective."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from penstock.core.errors import RecipeError
from penstock.kinds.told import TOLD
from penstock.models.autoencoder import Autoencoder, QuantisedAutoencoder
from penstock.objectives.code_penalties import Absolute, Contractive, MeanActivation, Penalty
from penstock.objectives.corruption import Corruption, Masking, Noise
from penstock.objectives.likelihood import Bernoulli, Frames, Gaussian, Likelihood, Rows
from penstock.objectives.quantised import Quantised
from penstock.objectives.reconstruction import Reconstruction
from penstock.objectives.variational import Variational

if TYPE_CHECKING:
    from penstock.kinds.kind import Kind
    from penstock.kinds.likeness import LikenessAnswer
    from penstock.objectives.coding import Coding
    from penstock.recipes.reconstruct import Reconstruct


def coding(recipe: Reconstruct, kind: Kind, answer: LikenessAnswer, network: nn.Module) -> Coding:
    """What the method asks for."""
    wanted = QuantisedAutoencoder if recipe.method == "quantised" else Autoencoder
    if not isinstance(network, wanted):
        problem = f"the method {recipe.method!r} needs a {wanted.__name__}"
        raise RecipeError(f"model {type(network).__name__}", problem, "see penstock.models.autoencoder")
    lengths = kind.inputs[1:] if "features" in kind.sizes() else ()
    told = (*(() if answer.told is None else (TOLD,)), *lengths)
    common: dict[str, Any] = {"likelihood": likelihood(recipe, kind), "told": told}
    if recipe.method == "variational":
        chosen = recipe.variational
        options: dict[str, Any] = {"beta": chosen.beta, "warmup": chosen.warmup, "free_bits": chosen.free_bits}
        return Variational(network, kind.inputs, **common, **options)
    if isinstance(network, QuantisedAutoencoder) and recipe.method == "quantised":
        return Quantised(network, kind.inputs, **common, commitment=recipe.quantised.commitment)
    corruption: Corruption | None = None
    penalty: Penalty | None = None
    if recipe.method == "denoising":
        amount, fields = recipe.denoising.amount, 1 if lengths else len(kind.inputs)
        noise = recipe.denoising.how == "noise"
        corruption = Noise(deviation=amount) if noise else Masking(share=amount, fields=fields)
    elif recipe.method == "sparse":
        weight, target = recipe.sparse.weight, recipe.sparse.share
        limited = recipe.sparse.how == "activation"
        penalty = MeanActivation(weight=weight, target=target) if limited else Absolute(weight=weight)
    elif recipe.method == "contractive":
        penalty = Contractive(weight=recipe.contractive.weight)
    return Reconstruction(network, kind.inputs, **common, corruption=corruption, penalty=penalty)


def likelihood(recipe: Reconstruct, kind: Kind) -> Likelihood:
    """By the kind of the data; how far values stray is a guess that suits what is brought to one scale."""
    sizes, deviation = kind.sizes(), recipe.likelihood.deviation
    if "numbers" in sizes:
        return Rows(**sizes, deviation=deviation or 0.5)
    if "features" in sizes:
        return Frames(deviation=deviation or 0.5)
    form = recipe.likelihood.form
    if form == "bernoulli" or (form == "auto" and recipe.method == "variational"):
        return Bernoulli()
    return Gaussian(deviation=deviation or 0.1)
