"""How long and how carefully to train: the same settings for every family."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from penstock.core.settings import Settings


class Plan(Settings):
    """The engine's settings. Training ends at whichever of `epochs`, `steps` and `minutes` is reached first."""

    epochs: Annotated[
        float | None,
        Field(gt=0, le=1e7, description="how often to go through the training examples; by their number if not given"),
    ] = None
    steps: Annotated[int | None, Field(ge=1, le=10**12, description="how many batches to train on")] = None
    minutes: Annotated[float | None, Field(gt=0, description="time budget; schedules anneal within it")] = None
    accumulate: Annotated[int, Field(ge=1, description="split each batch into this many parts, to save memory")] = 1
    precision: Annotated[
        Literal["auto", "float32", "bf16", "fp16"],
        Field(
            description="bf16 computes layers in bfloat16 (weights stay float32); auto: where layers and processor "
            "gain; fp16 in float16, with a scaled loss: for graphics cards without bfloat16"
        ),
    ] = "auto"
    on_out_of_memory: Annotated[
        Literal["stop", "halve"],
        Field(description="what to do when a batch does not fit: stop, or go on with it in twice as many parts"),
    ] = "stop"
    clip_norm: Annotated[float | None, Field(gt=0, description="scale gradients down to this norm")] = None
    clip_value: Annotated[float | None, Field(gt=0, description="clamp each gradient entry to +- this value")] = None
    ema: Annotated[
        float | None, Field(gt=0, lt=1, description="evaluate and keep a moving average of the weights, e.g. 0.999")
    ] = None
    evaluate_every: Annotated[float, Field(gt=0, description="epochs between evaluations on the validation split")] = 1
    monitor: Annotated[str, Field(description="the validation metric that chooses the best weights")] = "loss"
    patience: Annotated[
        int | None, Field(ge=1, description="stop after this many evaluations without a better monitored metric")
    ] = None
    until: Annotated[float | None, Field(description="stop once the monitored metric is as good as this")] = None
    keep: Annotated[
        Literal["best", "last"], Field(description="which weights to end with: the best on validation, or the last")
    ] = "best"
    log_every: Annotated[int, Field(ge=1, description="steps between two rows of training loss")] = 20
    checkpoint_every: Annotated[
        float, Field(ge=0, description="seconds between checkpoints, at least; one is always written at the end")
    ] = 30
    device: Annotated[str, Field(description="auto, cpu, cuda, cuda:1, mps")] = "auto"
    threads: Annotated[
        int | None, Field(ge=1, le=1024, description="processor threads; by the size of the network if not given")
    ] = None
    compile: Annotated[
        Literal["auto", "on", "off"],
        Field(description="compile whole steps, several a call; auto: for small networks and very long trainings"),
    ] = "auto"
    onednn: Annotated[
        Literal["auto", "on", "off"],
        Field(description="large float32 products through oneDNN; auto: on AMD processors, where it proves exact"),
    ] = "auto"
    channels_last: Annotated[
        bool, Field(description="compute convolutions and pooling with the channels last in memory (processor)")
    ] = True
    keep_memory: Annotated[
        bool, Field(description="keep freed memory for the next step instead of giving it back to the system (Linux)")
    ] = True
    fused: Annotated[
        bool,
        Field(description="use torch's fused optimizer kernels, its backward pass directly, and GRUs computed at once"),
    ] = True
    seed: Annotated[int, Field(ge=0, lt=1 << 63, description="all randomness follows from it")] = 0
