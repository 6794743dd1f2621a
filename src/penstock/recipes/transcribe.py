"""Transcription: what is said, or keyed, in a sound?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast

from pydantic import AfterValidator, Field

from penstock.core.ranks import Ranks
from penstock.core.settings import Settings
from penstock.recipes.architectures import MODELS, SEQUENCES, build_model, offers, one_of
from penstock.recipes.graded import Graded
from penstock.recipes.recipe import Where
from penstock.recipes.settings import AudioSettings, NetSettings, OptimSettings, TableSettings

if TYPE_CHECKING:
    import torch
    from torch import nn

    from penstock.kinds.answer import Answer
    from penstock.kinds.kind import Kind, Material
    from penstock.objectives.predicting import Predicting
    from penstock.recipes.answering import Answering
    from penstock.recipes.job import Job, Supplied

LISTENERS = {"speech": MODELS["speech"], **SEQUENCES}
"""Models that say something at every step of a sound."""


class BeamSettings(Settings):
    """How what the model hears becomes text."""

    width: Annotated[
        int, Field(ge=1, le=1000, description="texts followed at once; 1: the likeliest sign at each step, the fastest")
    ] = 1
    order: Annotated[
        int,
        Field(ge=0, le=10, description="tokens that a language model of the training transcripts looks at; 0: none"),
    ] = 0
    weight: Annotated[float, Field(ge=0, le=10, description="of the language model")] = 0.5
    bonus: Annotated[float, Field(ge=-10, le=10, description="for each token, where there is a language model")] = 0.5


class Transcribe(Graded):
    """Write down what is said in sounds."""

    task: ClassVar[str] = "transcribe"
    summary: ClassVar[str] = "write down what is said, or keyed in Morse code, in sounds"
    example: ClassVar[str] = "penstock train transcribe --data recordings.csv --target transcript"
    activity: ClassVar[str] = "transcription"
    headline: ClassVar[Sequence[str]] = ("cer", "wer", "exact_match", "loss")
    examples_seen: ClassVar[int] = 100_000

    data: Where = "morse"
    monitor: Annotated[str, Field(description="the validation metric that chooses the best weights")] = "cer"
    ema: Annotated[
        float | None, Field(gt=0, lt=1, description="evaluate and keep a moving average of the weights; none: do not")
    ] = 0.99
    optim: OptimSettings = OptimSettings(lr=4e-3)
    clip_norm: Annotated[float | None, Field(gt=0, description="largest norm of the gradient; none: any")] = 1.0
    batch_size: Annotated[int | None, Field(ge=1, le=10**9, description="examples a step")] = 16
    target: Annotated[str | None, Field(description="the column with the transcripts (tables)")] = None
    model: Annotated[
        str, Field(description=f"auto (speech), {', '.join(LISTENERS)}"), AfterValidator(one_of(LISTENERS))
    ] = "auto"
    units: Annotated[
        Literal["auto", "characters", "words", "bpe", "unigram"],
        Field(description="what is written one after the other; auto: characters"),
    ] = "auto"
    vocabulary: Annotated[int, Field(ge=3, le=100_000, description="different units at most")] = 1000
    table: TableSettings = TableSettings()
    net: NetSettings = NetSettings()
    audio: AudioSettings = AudioSettings()
    beam: BeamSettings = BeamSettings()

    def read_material(self, supplied: object = None, kind: Kind | None = None) -> Material:
        """The sounds that `data` names, with their transcripts; a table names sound files in one of its columns."""
        from penstock.core.errors import DataError
        from penstock.data.opened import SoundData, TableData
        from penstock.data.opening import open_data
        from penstock.kinds.audio import AudioMaterial
        from penstock.kinds.listed import listed_sounds

        table = self.table
        reading = table.options()
        found = open_data(self.data, reading, supplied)
        if isinstance(found, TableData):
            found = listed_sounds(found, self.target, self.split.column if kind is None else None)
        if not isinstance(found, SoundData):
            problem = "there are no sounds in it"
            raise DataError(found.origin, problem, "give a table with a column of wav or flac files and one of texts")
        return AudioMaterial(found, *self.audio.objects())

    def fit_answer(self, material: Material, rows: Any) -> Answer:
        """The tokens of the training transcripts."""
        from penstock.kinds.transcript import Decoding, TranscriptAnswer

        beam = self.beam
        decoding = Decoding(beam.width, beam.order, beam.weight, beam.bonus)
        return TranscriptAnswer.fit(
            material.labels, rows, units=self.units, vocabulary=self.vocabulary, decoding=decoding
        )

    def network(self, name: str, kind: Kind, answer: Answer, net: NetSettings) -> nn.Module:
        """One that says something at every step."""
        return build_model(name, kind.sizes(), answer.outputs, net, LISTENERS, pooled=False)

    def objective(self, kind: Kind, answer: Answer, network: nn.Module) -> Predicting:
        """The sum over all alignments; a module of the user's own gives as many steps as it is given."""
        from penstock.kinds.transcript import TranscriptAnswer
        from penstock.models.sequence import SequenceNet
        from penstock.objectives.ctc import CTC, same

        assert isinstance(answer, TranscriptAnswer)
        steps = network.steps if isinstance(network, SequenceNet) else same
        return CTC(network, kind.inputs, spell=answer.spell, steps=steps, decode=answer.decode)

    def decisions(self, material: Material, model: str, examples: int) -> dict[str, Any]:
        """The target's name, and that sounds are read from both ends."""
        net: dict[str, Any] = {}
        if self.net.bidirectional is None and model in LISTENERS and offers(model, "bidirectional", LISTENERS):
            net["bidirectional"] = True
        target = {} if "target" in material.foreign else {"target": str(material.labels.name)}
        return {**target, "net": self.net.model_copy(update=net)}

    def prepare(self, material: Material, device: torch.device, supplied: Supplied, ranks: Ranks) -> Job:
        """As that of every task. Raises DataError for a transcript that does not fit into the steps of its sound."""
        from penstock.core.errors import DataError
        from penstock.kinds.audio import AudioMaterial
        from penstock.objectives.ctc import CTC, steps_needed

        job = super().prepare(material, device, supplied, ranks)
        objective, trained = job.trained.objective, cast("Answering", job.trained)
        assert isinstance(material, AudioMaterial)
        assert isinstance(objective, CTC)
        given = objective.steps(material.frames(trained.kind)).tolist()
        texts = trained.answer.encode(material.labels)
        for row, (place, steps) in enumerate(zip(material.labels.index, given, strict=True)):
            needed = steps_needed(texts[row].tolist())
            if needed > steps:
                problem = f"its transcript needs {needed} steps and the model makes {steps} of the sound"
                raise DataError(place, problem, "check the transcript, or lower --audio.hop")
        return job
