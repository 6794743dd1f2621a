"""Groups of settings of the recipe `generate`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from penstock.core.settings import Settings
from penstock.recipes.settings import OptimSettings

if TYPE_CHECKING:
    from penstock.optim.optimizer import Optimizer


class MakingNet(Settings):
    """The sizes of the networks."""

    code: Annotated[int, Field(ge=1, le=65536, description="random numbers from which an example is made")] = 64
    width: Annotated[
        int | None,
        Field(ge=1, le=4096, description="channels next to the picture (dcgan, residual, sagan); by the model"),
    ] = None
    hidden: Annotated[
        list[Annotated[int, Field(ge=1, le=65536)]],
        Field(description="widths of the hidden layers (dense), of the generator; the discriminator has them reversed"),
    ] = Field(default_factory=lambda: [256, 512])
    widths: Annotated[
        list[Annotated[int, Field(ge=1, le=4096)]],
        Field(description="channels at each size of the picture (diffusion), multiples of 8"),
    ] = Field(default_factory=lambda: [32, 64, 128])


class MakingOptim(OptimSettings):
    """The optimizers and their learning-rate schedule."""

    name: Annotated[
        Literal["adam", "adamw", "sgd", "nesterov", "rmsprop", "adagrad"], Field(description="the update rule")
    ] = "adam"
    lr: Annotated[float | None, Field(gt=0, description="peak learning rate; by the model if not given")] = None
    discriminator_lr: Annotated[
        float | None, Field(gt=0, description="that of the discriminator, where it is to be another")
    ] = None
    codes_lr: Annotated[
        float | None, Field(gt=0, description="that of the codes of the examples, by plain descent (glo); by the batch")
    ] = None
    beta1: Annotated[
        float | None, Field(ge=0, lt=1, description="how long adam remembers slopes; by the model if not given")
    ] = None
    beta2: Annotated[
        float | None, Field(ge=0, lt=1, description="how long adam remembers their squares; by the model")
    ] = None

    def build(self) -> Optimizer:
        """The optimizer with its schedule; Adam's memory as it was given."""
        from penstock.optim.adam import Adam

        made = super().build()
        given = {name: value for name in ("beta1", "beta2") if (value := getattr(self, name)) is not None}
        return replace(made, **given) if isinstance(made, Adam) else made


class GanSettings(Settings):
    """The game of a generator and a discriminator (dense, dcgan, residual, sagan; vae-gan has a part of it)."""

    loss: Annotated[
        Literal["auto", "original", "non-saturating", "least-squares", "hinge", "wasserstein"],
        Field(description="what the two minimise; by the model"),
    ] = "auto"
    spectral: Annotated[
        bool | None,
        Field(description="spectral normalisation of the discriminator (sagan: of both); by the model"),
    ] = None
    gradient_penalty: Annotated[
        float | None, Field(gt=0, description="weight of the penalty of WGAN-GP, 10 in its paper; none: no penalty")
    ] = None
    r1: Annotated[
        float | None, Field(gt=0, description="weight of the penalty R1 on slopes at real examples; none: no penalty")
    ] = None
    clip: Annotated[
        float | None, Field(gt=0, description="keep the discriminator's weights within +- this, 0.01 in the first WGAN")
    ] = None
    turns: Annotated[int, Field(ge=1, le=1000, description="discriminator's steps for each of the generator's")] = 1
    augment: Annotated[
        Literal["auto", "off", "translation", "all"],
        Field(description="differentiable changes of what the discriminator sees; auto: translation for little data"),
    ] = "auto"
    head: Annotated[
        Literal["projection", "auxiliary"],
        Field(description="how the discriminator learns of classes, of a conditional game"),
    ] = "projection"
    class_weight: Annotated[float, Field(ge=0, description="weight of naming the classes (auxiliary)")] = 1.0
    likeness: Annotated[float, Field(ge=0, description="weight of reconstruction for the generator (vae-gan)")] = 1.0
    divergence: Annotated[float, Field(ge=0, description="weight of the codes' divergence (vae-gan)")] = 0.01


class DiffusionSettings(Settings):
    """How noise is added and taken away."""

    noise: Annotated[int, Field(ge=1, le=100_000, description="steps in which an example becomes noise")] = 1000
    sampling: Annotated[int, Field(ge=1, le=100_000, description="steps in which noise becomes an example")] = 50
    guidance: Annotated[float, Field(ge=0, le=100, description="how far towards the class, of a conditional one")] = 1.0


class EnergySettings(Settings):
    """The chains on whose ends the discriminator generates."""

    chain: Annotated[int, Field(ge=1, le=10_000, description="steps of a chain")] = 40
    rate: Annotated[float, Field(gt=0, description="length of its steps")] = 1.0
    noise: Annotated[float, Field(ge=0, description="deviation of the noise in each")] = 0.01


class MeasureSettings(Settings):
    """How samples are measured: in what a classifier of the same data sees in them."""

    examiner: Annotated[
        Literal["auto", "classifier", "pixels"],
        Field(description="a classifier, trained first on the same data, or coarse pixels; auto: by the labels"),
    ] = "auto"
    epochs: Annotated[
        float | None, Field(gt=0, description="of the classifier's training; by the number of examples if not given")
    ] = None
    validation: Annotated[
        int | None, Field(ge=2, description="held-out examples at an evaluation; by the model if not given")
    ] = None
    test: Annotated[int | None, Field(ge=2, description="and at the end; by the model if not given")] = None
