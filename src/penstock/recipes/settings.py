"""Groups of settings that recipes share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field

from penstock.core.settings import Settings

if TYPE_CHECKING:
    from penstock.data.opened import ReadOptions
    from penstock.data.sounds import Vary
    from penstock.kinds.audio import ReadSounds
    from penstock.kinds.pictures import ReadImages
    from penstock.optim.optimizer import Optimizer
    from penstock.optim.schedules import Schedule


RATES = {
    "adamw": (2e-3, 0.01),
    "adam": (2e-3, 0.0),
    "sgd": (0.05, 5e-4),
    "nesterov": (0.05, 5e-4),
    "rmsprop": (1e-3, 0.0),
    "adagrad": (0.01, 0.0),
}
"""Peak learning rate and weight decay of each update rule, where they are not given."""


class OptimSettings(Settings):
    """The optimizer and its learning-rate schedule."""

    name: Annotated[
        Literal["adamw", "adam", "sgd", "nesterov", "rmsprop", "adagrad"], Field(description="the update rule")
    ] = "adamw"
    lr: Annotated[float | None, Field(gt=0, description="peak learning rate; by the update rule if not given")] = None
    weight_decay: Annotated[
        float | None,
        Field(ge=0, description="on weights, not on biases or normalisation; by the update rule if not given"),
    ] = None
    momentum: Annotated[float, Field(ge=0, lt=1, description="of sgd and nesterov")] = 0.9
    schedule: Annotated[
        Literal["cosine", "linear", "constant", "piecewise"], Field(description="how the rate changes with progress")
    ] = "cosine"
    warmup: Annotated[
        float, Field(ge=0, lt=1, description="share of training in which the rate rises (cosine, linear)")
    ] = 0.1
    final: Annotated[
        float, Field(ge=0, le=1, description="rate at the end, as a share of the peak (cosine, linear)")
    ] = 0.0
    milestones: Annotated[
        list[Annotated[float, Field(gt=0, lt=1)]], Field(description="progress at which the rate drops (piecewise)")
    ] = Field(default_factory=lambda: [0.5, 0.75])
    drop: Annotated[float, Field(gt=0, lt=1, description="factor at each milestone (piecewise)")] = 0.1

    def resolved(self) -> Self:
        """With the rate and the decay that suit the update rule, where they were left open."""
        lr, decay = RATES[self.name]
        open_ones = {"lr": lr if self.lr is None else self.lr}
        open_ones["weight_decay"] = decay if self.weight_decay is None else self.weight_decay
        return self.model_copy(update=open_ones)

    def build(self) -> Optimizer:
        """The optimizer with its schedule."""
        from penstock.optim.adam import Adam, AdamW
        from penstock.optim.adaptive import Adagrad, RMSprop
        from penstock.optim.sgd import SGD

        resolved = self.resolved()
        assert resolved.lr is not None
        assert resolved.weight_decay is not None
        common = {"lr": resolved.lr, "weight_decay": resolved.weight_decay}
        schedule = self._schedule()
        match self.name:
            case "adamw":
                return AdamW(**common, schedule=schedule)
            case "adam":
                return Adam(**common, schedule=schedule)
            case "rmsprop":
                return RMSprop(**common, schedule=schedule)
            case "adagrad":
                return Adagrad(**common, schedule=schedule)
            case _:
                return SGD(**common, schedule=schedule, momentum=self.momentum, nesterov=self.name == "nesterov")

    def _schedule(self) -> Schedule:
        from penstock.optim.schedules import Constant, Cosine, Linear, Piecewise

        match self.schedule:
            case "cosine":
                return Cosine(warmup=self.warmup, final=self.final)
            case "linear":
                return Linear(warmup=self.warmup, final=self.final)
            case "piecewise":
                ordered = sorted(self.milestones)
                return Piecewise(factors={at: self.drop ** (i + 1) for i, at in enumerate(ordered)})
            case _:
                return Constant()


class SplitSettings(Settings):
    """Which examples train, choose and test. A split that the data brings along is respected."""

    column: Annotated[str | None, Field(description="column of a table that says train, validation or test")] = None
    validation: Annotated[float, Field(gt=0, lt=1, description="share for validation, where none is given")] = 0.1
    test: Annotated[float, Field(gt=0, lt=1, description="share for the test, where none is given")] = 0.2


class ReadSettings(Settings):
    """How to read a table."""

    delimiter: Annotated[
        str | None,
        Field(min_length=1, description="between fields, a character or the word tab; found out if not given"),
    ] = None
    encoding: Annotated[str, Field(description="of the file, e.g. utf-8, gbk, latin-1, utf-16")] = "utf-8"
    missing: Annotated[list[str], Field(description="further texts that mean a missing value")] = Field(
        default_factory=list
    )
    present: Annotated[
        list[str], Field(description="texts that are values, although they usually mean a missing one, e.g. none")
    ] = Field(default_factory=list)

    def options(self) -> ReadOptions:
        """How to read."""
        from penstock.data.opened import ReadOptions

        return ReadOptions(self.delimiter, self.encoding, tuple(self.missing), tuple(self.present))


class TableSettings(ReadSettings):
    """How to read a table, and what to do with its numbers."""

    scaling: Annotated[
        Literal["standard", "quantile"],
        Field(description="of numbers: to mean 0 and deviation 1, or by rank to a normal"),
    ] = "standard"


class ImageSettings(Settings):
    """How to read pictures, and how to vary them in training."""

    size: Annotated[int | None, Field(ge=4, le=1024, description="height and width; by the data if not given")] = None
    skip_bad: Annotated[int, Field(ge=0, description="how many unreadable files to leave out before giving up")] = 0
    shift: Annotated[
        int | None, Field(ge=0, description="largest random shift in pixels; a 14th of the width if not given")
    ] = None
    flip: Annotated[bool, Field(description="random mirror images, left to right")] = False
    memory: Annotated[
        float, Field(gt=0, description="GiB of pictures to hold in memory; more is read from disk as needed")
    ] = 4.0
    workers: Annotated[
        int | None,
        Field(ge=0, le=64, description="processes that read pictures ahead; by the number of cores if not given"),
    ] = None

    def objects(self) -> tuple[ReadImages, int | None, bool]:
        """How to read, and how to shift and mirror."""
        from penstock.kinds.pictures import ReadImages

        return ReadImages(self.size, self.skip_bad, self.memory, self.workers), self.shift, self.flip


class PictureSettings(ImageSettings):
    """How to read pictures that are made again: what is done to them in training is learned, too."""

    shift: Annotated[int, Field(ge=0, description="largest random shift in pixels")] = 0


class TextSettings(Settings):
    """How to cut texts into tokens."""

    tokens: Annotated[
        Literal["auto", "characters", "bytes", "words", "bpe", "unigram"],
        Field(description="what a token is; auto: words, or characters where texts are short or Chinese"),
    ] = "auto"
    vocabulary: Annotated[
        int, Field(ge=5, le=1_000_000, description="different tokens at most, learnt from the training texts")
    ] = 8000
    longest: Annotated[
        int | None, Field(ge=1, le=100_000, description="tokens of a text that are read; 256 if not given")
    ] = None


class AudioSettings(Settings):
    """How to read sounds, and how to vary them in training."""

    rate: Annotated[
        int | None, Field(ge=1000, le=48_000, description="samples a second; by the data, up to 16000, if not given")
    ] = None
    bands: Annotated[
        int | None, Field(ge=4, le=256, description="bands of frequencies in the spectrogram; by the rate if not given")
    ] = None
    hop: Annotated[
        float | None, Field(ge=0.002, le=0.5, description="seconds from frame to frame; by the rate if not given")
    ] = None
    noise: Annotated[
        float | None,
        Field(
            ge=-20, le=60, description="noise added to every other sound, at least so many dB weaker; none: no noise"
        ),
    ] = 10.0
    speed: Annotated[
        float, Field(ge=0, le=0.5, description="largest share by which a sound is played faster or slower")
    ] = 0.1
    masks: Annotated[
        int | None,
        Field(ge=0, le=10, description="stretches of time, and of bands, that are hidden; by the rate if not given"),
    ] = None
    mask_time: Annotated[float, Field(ge=0, lt=1, description="the longest of them, as a share of the sound")] = 0.1
    mask_bands: Annotated[float, Field(ge=0, lt=1, description="the broadest, as a share of the bands")] = 0.15
    memory: Annotated[float, Field(gt=0, description="GiB of samples that may be held in memory")] = 4.0
    skip_bad: Annotated[int, Field(ge=0, description="how many unreadable files to leave out before giving up")] = 0

    def objects(self) -> tuple[ReadSounds, Vary]:
        """How to read, and how to vary."""
        from penstock.data.sounds import Vary
        from penstock.kinds.audio import ReadSounds

        reading = ReadSounds(self.rate, self.bands, self.hop, self.masks, self.memory, self.skip_bad)
        return reading, Vary(self.noise, self.speed, 0, self.mask_time, self.mask_bands)


class SeriesSettings(Settings):
    """How to cut a table of measurements, a row a moment, into stretches with a label each."""

    rows: Annotated[
        int | None, Field(ge=1, le=100_000, description="rows of a stretch; not given, each row stands for itself")
    ] = None
    by: Annotated[str | None, Field(description="the column that tells one series from another")] = None


class NetSettings(Settings):
    """The sizes of the network, where the model has a choice."""

    hidden: Annotated[
        list[Annotated[int, Field(ge=1, le=65536)]],
        Field(description="widths of the hidden layers (mlp; cnn: before the output)"),
    ] = Field(default_factory=list)
    widths: Annotated[list[Annotated[int, Field(ge=1, le=8192)]], Field(description="channels of each stage (cnn)")] = (
        Field(default_factory=list)
    )
    dropout: Annotated[float, Field(ge=0, lt=1, description="share of units dropped in training (mlp, cnn)")] = 0.1
    numbers: Annotated[
        Literal["auto", "plain", "periodic"],
        Field(description="how an mlp takes a table's numbers: as they are, or as waves (auto: from 2000 rows)"),
    ] = "auto"
    sigma: Annotated[float, Field(gt=0, description="frequency of those waves (periodic)")] = 0.3
    width: Annotated[
        int | None, Field(ge=1, le=65536, description="numbers a step (sequences); by the model if not given")
    ] = None
    layers: Annotated[int | None, Field(ge=1, le=1000, description="layers, one on the other (sequences)")] = None
    heads: Annotated[int | None, Field(ge=1, le=1024, description="attention heads (transformer)")] = None
    bidirectional: Annotated[
        bool | None, Field(description="read sequences from both ends (rnn, lstm, gru); by the task if not given")
    ] = None
    memory: Annotated[
        int | None,
        Field(
            ge=3, le=10**6, description="steps that an lstm remembers from the start; few if not given (long series)"
        ),
    ] = None
    positions: Annotated[
        Literal["rotary", "sinusoidal", "learned"] | None,
        Field(description="how a transformer is told the order of steps; by the model if not given"),
    ] = None
    pre_norm: Annotated[
        bool | None, Field(description="normalise before each part of a transformer, not after; by the model")
    ] = None
    activation: Annotated[
        Literal["relu", "gelu", "tanh", "sigmoid", "leaky_relu", "silu"],
        Field(description="after each hidden layer (mlp)"),
    ] = "relu"
