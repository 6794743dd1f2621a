"""The objectives that `generate` knows by name, made from its settings for pictures of a given shape."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from penstock.core.errors import RecipeError

if TYPE_CHECKING:
    from penstock.models.discriminator import Discriminator, FeatureTrunk, Head
    from penstock.models.generator import Generator
    from penstock.objectives.adversarial_losses import AdversarialLoss
    from penstock.objectives.generating import Generating
    from penstock.objectives.penalties import Penalty
    from penstock.optim.optimizer import Optimizer
    from penstock.recipes.generate import Generate

GAMES = ("dense", "dcgan", "residual", "sagan")
"""Networks of a generator and a discriminator."""
METHODS = ("vae-gan", "glo", "energy", "diffusion")
"""What generates in other ways; all but diffusion with the networks of dcgan."""
CONDITIONAL = (*GAMES, "diffusion")
FIELD, LABEL = "image", "label"


def make_objective(recipe: Generate, shape: tuple[int, int, int], classes: int, examples: int) -> Generating:
    """What a resolved recipe describes, for pictures (C, H, W), so many `classes` (0: it is not told of them), and so
    many training `examples`. Raises RecipeError for what does not go together."""
    label = LABEL if classes else None
    match recipe.model:
        case "diffusion":
            return _diffusion(recipe, shape, classes, label)
        case "glo":
            from penstock.objectives.latent import LatentOptimisation, pyramid

            return LatentOptimisation(_generator(recipe, shape, 0), examples, field=FIELD, compare=pyramid)
        case "energy":
            from penstock.objectives.energy import EnergyBased
            from penstock.objectives.langevin import Langevin

            chain = Langevin(steps=recipe.energy.chain, rate=recipe.energy.rate, noise=recipe.energy.noise)
            return EnergyBased(_discriminator(recipe, shape, 0), shape, field=FIELD, langevin=chain)
        case "vae-gan":
            from penstock.models.discriminator import GaussianEncoder
            from penstock.objectives.vae_gan import VAEGAN

            return VAEGAN(
                GaussianEncoder(_trunk(recipe, shape), code=recipe.net.code),
                _generator(recipe, shape, 0),
                _discriminator(recipe, shape, 0),
                field=FIELD,
                loss=_loss(recipe),
                likeness=recipe.gan.likeness,
                divergence=recipe.gan.divergence,
            )
        case _:
            return _game(recipe, shape, classes, label)


def make_optimizers(recipe: Generate) -> dict[str, Optimizer]:
    """One for each role of the objective."""
    optim = recipe.optim
    one, other = optim.build(), optim.model_copy(update={"lr": optim.discriminator_lr or optim.lr}).build()
    match recipe.model:
        case "diffusion":
            return {"model": one}
        case "glo":
            from penstock.optim.sgd import SGD

            assert optim.codes_lr is not None
            return {"generator": one, "codes": SGD(lr=optim.codes_lr, momentum=0.0, schedule=one.schedule)}
        case "energy":
            return {"discriminator": one}
        case "vae-gan":
            return {"generator": one, "encoder": one, "discriminator": other}
        case _:
            return {"generator": one, "discriminator": other}


def _game(recipe: Generate, shape: tuple[int, int, int], classes: int, label: str | None) -> Generating:
    from penstock.objectives.adversarial import Adversarial
    from penstock.objectives.penalties import R1, ClipWeights, GradientPenalty

    gan = recipe.gan
    penalties: list[Penalty] = []
    if gan.gradient_penalty is not None:
        penalties.append(GradientPenalty(weight=gan.gradient_penalty))
    if gan.r1 is not None:
        penalties.append(R1(weight=gan.r1))
    return Adversarial(
        _generator(recipe, shape, classes),
        _discriminator(recipe, shape, classes),
        field=FIELD,
        label=label,
        loss=_loss(recipe),
        penalties=penalties,
        constraint=None if gan.clip is None else ClipWeights(bound=gan.clip),
        augment=_augment(gan.augment),
        turns=gan.turns,
        class_weight=gan.class_weight,
    )


def _diffusion(recipe: Generate, shape: tuple[int, int, int], classes: int, label: str | None) -> Generating:
    from penstock.models.unet import UNet
    from penstock.nn.noise_schedule import cosine_schedule
    from penstock.objectives.denoising import Denoising
    from penstock.objectives.diffusion import Diffusion

    sizes = dict(zip(("channels", "height", "width"), shape, strict=True))
    network, how = UNet(**sizes, widths=recipe.net.widths, classes=classes), recipe.diffusion
    diffusion = Diffusion(network, cosine_schedule(how.noise), FIELD, label=label, classes=classes)
    if how.sampling > how.noise:
        problem = f"{how.sampling} steps of sampling, and {how.noise} of noise"
        raise RecipeError("diffusion.sampling", problem, "give as many as there are of noise, or fewer")
    return Denoising(diffusion, shape, steps=how.sampling, guidance=how.guidance if classes else 0.0)


def _generator(recipe: Generate, shape: tuple[int, int, int], classes: int) -> Generator:
    from penstock.models.dcgan import DCGANGenerator
    from penstock.models.generator import DenseGenerator, Generator
    from penstock.models.residual_gan import ResidualGenerator
    from penstock.nn.spectral import spectral_

    channels, size, net = shape[0], _side(shape), recipe.net
    assert net.width is not None
    body: Any
    match recipe.model:
        case "dense":
            body = partial(DenseGenerator, channels=channels, size=size, hidden=tuple(net.hidden))
        case "residual":
            body = partial(ResidualGenerator, channels=channels, size=size, width=net.width)
        case _:
            attention = -(-size // 2) if recipe.model == "sagan" else 0
            body = partial(DCGANGenerator, channels=channels, size=size, width=net.width, attention=attention)
            body = partial(body, least=_least(classes))
    made = Generator(code=net.code, body=lambda inputs: body(inputs=inputs), classes=classes)
    if recipe.model == "sagan" and recipe.gan.spectral:
        spectral_(made.body)
    return made


def _least(classes: int) -> int:
    """The side at which pictures begin and end, at most.

    Of 28 x 28, what is told of classes came nearer to the data with a layer less, what is told of none with one more;
    other usual sizes end with 4 either way.
    """
    return 7 if classes else 4


def _trunk(recipe: Generate, shape: tuple[int, int, int], classes: int = 0, *, bounded: bool = False) -> FeatureTrunk:
    """`bounded`: its slope is, by spectral normalisation or a penalty, and batches are not normalised."""
    from penstock.models.dcgan import DCGANTrunk
    from penstock.models.discriminator import DenseTrunk
    from penstock.models.residual_gan import ResidualTrunk

    from torch import nn  # isort: skip

    channels, size, net = shape[0], _side(shape), recipe.net
    if recipe.model == "dense":
        return DenseTrunk(inputs=channels * size**2, hidden=tuple(reversed(net.hidden)))
    assert net.width is not None
    if recipe.model == "residual":
        return ResidualTrunk(channels=channels, size=size, width=net.width)
    norm, attention = nn.Identity if bounded else nn.BatchNorm2d, size // 2 if recipe.model == "sagan" else 0
    least = _least(classes)
    return DCGANTrunk(channels=channels, size=size, width=net.width, norm=norm, attention=attention, least=least)


def _discriminator(recipe: Generate, shape: tuple[int, int, int], classes: int) -> Discriminator:
    from penstock.models.discriminator import AuxiliaryHead, Discriminator, PlainHead, ProjectionHead
    from penstock.nn.spectral import spectral_

    gan = recipe.gan
    bounded = bool(gan.spectral or gan.gradient_penalty or gan.clip or gan.r1) or recipe.model == "energy"
    trunk = _trunk(recipe, shape, classes, bounded=bounded)
    head: Head = PlainHead(trunk.outputs)
    if classes:
        head = (ProjectionHead if gan.head == "projection" else AuxiliaryHead)(trunk.outputs, classes)
    made = Discriminator(trunk, head)
    return spectral_(made) if gan.spectral else made  # type: ignore[return-value]


def _loss(recipe: Generate) -> AdversarialLoss:
    from penstock.objectives import adversarial_losses as losses

    made: dict[str, type[AdversarialLoss]] = {
        "original": losses.Original,
        "non-saturating": losses.NonSaturating,
        "least-squares": losses.LeastSquares,
        "hinge": losses.Hinge,
        "wasserstein": losses.Wasserstein,
    }
    return made[recipe.gan.loss]()


def _augment(name: str) -> Any:
    from penstock.nn.differentiable_augment import DifferentiableAugment, Translate

    return {
        "off": DifferentiableAugment(()),
        "translation": DifferentiableAugment((Translate(),)),
        "all": DifferentiableAugment(),
    }[name]


def _side(shape: tuple[int, int, int]) -> int:
    if shape[1] != shape[2]:
        problem = f"pictures of {shape[1]} x {shape[2]} are made by diffusion only"
        raise RecipeError("image.size", problem, "give --size to make them square, or --model diffusion")
    return shape[1]
