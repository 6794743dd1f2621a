"""The settings of autoencoders: how long a code is, and what is asked of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from penstock.core.settings import Settings
from penstock.recipes.settings import PictureSettings

Width = Annotated[int, Field(ge=1, le=65536)]


class CoderSettings(Settings):
    """The sizes of encoder and decoder."""

    code: Annotated[
        int | None,
        Field(ge=1, le=4096, description="numbers of a code (of each place, where it has places); by the data"),
    ] = None
    hidden: Annotated[
        list[Width], Field(description="widths of the encoder's hidden layers, the decoder's backwards (dense)")
    ] = Field(default_factory=list)
    widths: Annotated[list[Width], Field(description="channels of each halving of a picture (conv)")] = Field(
        default_factory=list
    )
    width: Annotated[
        int | None, Field(ge=1, le=8192, description="channels (conv of sounds; quantised pictures); by the data")
    ] = None
    halvings: Annotated[
        int,
        Field(ge=0, le=8, description="how often a sound, or a quantised picture, is halved: a place for each 4 x 4"),
    ] = 2
    anonymous: Annotated[
        bool | None,
        Field(description="the code loses what stays the same throughout a sound, as a voice does; given with --told"),
    ] = None


class DenoisingSettings(Settings):
    """What is done to the examples that are to be restored."""

    how: Annotated[Literal["noise", "masking"], Field(description="noise is added, or values are left out")] = "noise"
    amount: Annotated[
        float, Field(gt=0, description="the noise's deviation (brightness is 0 to 1), or the share that is left out")
    ] = 0.3


class SparseSettings(Settings):
    """How few numbers of a code are to be large."""

    how: Annotated[
        Literal["activation", "absolute"],
        Field(description="numbers from 0 to 1 that are on for a share of the examples, or small sizes of all"),
    ] = "activation"
    weight: Annotated[float, Field(gt=0, description="of that against the error")] = 0.01
    share: Annotated[float, Field(gt=0, lt=1, description="of the examples for which a number is on (activation)")] = (
        0.1
    )


class ContractiveSettings(Settings):
    """How little a code is to change with the example."""

    weight: Annotated[float, Field(gt=0, description="of the squared slopes of the code against the error")] = 0.001


class VariationalSettings(Settings):
    """What is asked of a code that is a distribution."""

    beta: Annotated[
        float, Field(ge=0, description="weight of the divergence from the prior; 1 is the bound itself")
    ] = 1.0
    warmup: Annotated[
        float, Field(ge=0, le=1, description="share of the training in which that weight rises from 0")
    ] = 0.0
    free_bits: Annotated[
        float, Field(ge=0, description="nats of divergence that each number of a code may have for nothing")
    ] = 0.0
    importance: Annotated[
        int, Field(ge=0, le=10_000, description="samples for the tighter bound on the test, iwelbo; 0: none")
    ] = 20


class QuantisedSettings(Settings):
    """The codebook."""

    codes: Annotated[int, Field(ge=2, le=65536, description="entries of the codebook")] = 128
    places: Annotated[int, Field(ge=1, le=1024, description="entries that make a code (dense)")] = 8
    commitment: Annotated[float, Field(ge=0, description="weight of how far vectors are from their entries")] = 0.25
    decay: Annotated[float, Field(ge=0, lt=1, description="how slowly the entries follow")] = 0.99


class LikelihoodSettings(Settings):
    """How a reconstruction is compared with the example."""

    form: Annotated[
        Literal["auto", "gaussian", "bernoulli"],
        Field(description="squared error, or cross-entropy of brightness; auto: the latter for variational pictures"),
    ] = "auto"
    deviation: Annotated[
        float | None,
        Field(gt=0, description="of the values about the reconstruction (gaussian, variational); by the data"),
    ] = None


class BinaryPictureSettings(PictureSettings):
    """How to read pictures, and how to vary them in training."""

    binary: Annotated[bool, Field(description="only black and white: what is at least half bright is white")] = False


class HearingSettings(Settings):
    """How to read sounds."""

    rate: Annotated[
        int | None, Field(ge=1000, le=48_000, description="samples a second; by the data, up to 16000, if not given")
    ] = None
    memory: Annotated[float, Field(gt=0, description="GiB of samples that may be held in memory")] = 4.0
    skip_bad: Annotated[int, Field(ge=0, description="how many unreadable files to leave out before giving up")] = 0
