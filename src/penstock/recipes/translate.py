"""Translation: what does this sequence become?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast

from pydantic import AfterValidator, Field

from penstock.core.errors import RecipeError
from penstock.recipes.architectures import TRANSLATORS, build_translator, one_of
from penstock.recipes.graded import Graded
from penstock.recipes.settings import NetSettings, SplitSettings, TextSettings

if TYPE_CHECKING:
    from torch import nn

    from penstock.core.objective import Evaluation
    from penstock.kinds.answer import Answer
    from penstock.kinds.kind import Kind, Material
    from penstock.kinds.pairs import PairMaterial, SourceKind, TargetAnswer
    from penstock.models.translator import Translator
    from penstock.objectives.translation import Translation
    from penstock.recipes.answering import Answering

LONGEST = 256


class PairSettings(TextSettings):
    """How to cut the texts of a pair into tokens."""

    tokens: Annotated[
        Literal["auto", "characters", "bytes", "words", "bpe", "unigram"],
        Field(description="what a token is; auto: characters where texts have few words, else bpe, pieces of words"),
    ] = "auto"
    longest: Annotated[
        int | None,
        Field(ge=1, le=100_000, description="tokens that a text may have; 256 if not given. A longer one is refused"),
    ] = None


class Translate(Graded):
    """Write one text from another: translation, spelling, dates, anything that comes in pairs."""

    task: ClassVar[str] = "translate"
    summary: ClassVar[str] = "write one text from another, learned from pairs"
    example: ClassVar[str] = "penstock train translate --data pairs.tsv --model transformer --epochs 30"
    activity: ClassVar[str] = "translation"
    headline: ClassVar[Sequence[str]] = ("chrf", "exact_match")
    examples_seen: ClassVar[int] = 100_000
    least_steps: ClassVar[int] = 500

    data: Annotated[
        str,
        Field(min_length=1, description="lines of two texts with a tab between, a table, a folder, or a set by name"),
    ] = "dates"
    parallel: Annotated[
        str | None, Field(description="a second file, of which each line is the translation of that line of the data")
    ] = None
    source_column: Annotated[
        str | None, Field(description="the column to translate (tables); the first if not given")
    ] = None
    target_column: Annotated[
        str | None, Field(description="the column with the translation (tables); the second if not given")
    ] = None
    encoding: Annotated[str, Field(description="of the files, e.g. utf-8, gbk, latin-1, utf-16")] = "utf-8"
    reverse: Annotated[bool, Field(description="translate the second text of a pair into the first")] = False
    model: Annotated[
        str,
        Field(description=f"auto (gru); plain is without attention: {', '.join(TRANSLATORS)}"),
        AfterValidator(one_of(TRANSLATORS)),
    ] = "auto"
    net: NetSettings = NetSettings()
    text: PairSettings = PairSettings()
    split: SplitSettings = SplitSettings(validation=0.05, test=0.05)
    monitor: Annotated[str, Field(description="the validation metric that chooses the best weights")] = "chrf"
    clip_norm: Annotated[float | None, Field(gt=0, description="scale gradients down to this norm")] = 1.0
    ema: Annotated[
        float | None, Field(gt=0, lt=1, description="evaluate and keep a moving average of the weights; none: do not")
    ] = 0.99
    smoothing: Annotated[float, Field(ge=0, lt=1, description="label smoothing")] = 0.0
    sampling: Annotated[
        float,
        Field(ge=0, le=1, description="share of its own tokens that the model is given at the end of training"),
    ] = 0.0
    beam: Annotated[
        int, Field(ge=1, le=1000, description="beginnings kept in the search for the best text; 1: greedy")
    ] = 5
    penalty: Annotated[
        float, Field(ge=0, le=10, description="how much longer texts are preferred in the search; 0: not at all")
    ] = 0.6

    def read_material(self, supplied: object = None, kind: Kind | None = None) -> Material:
        """The pairs that `data` names, or the object given in its place."""
        from penstock.data.pairs import ReadPairs, open_pairs
        from penstock.kinds.pairs import Cutting, PairMaterial

        columns = (self.source_column, self.target_column)
        if self.parallel is not None and columns != (None, None):
            raise RecipeError("parallel", "two files have no columns to choose from", "leave out --source-column")
        pairs = open_pairs(self.data, ReadPairs(self.parallel, columns, self.encoding, self.reverse), supplied)
        cutting = Cutting(self.text.tokens, self.text.vocabulary, self.text.longest or LONGEST)
        return PairMaterial(pairs, cutting, self.encoding)

    def fit_answer(self, material: Material, rows: Any) -> Answer:
        """The vocabulary of the training targets."""
        from penstock.kinds.pairs import TargetAnswer

        return TargetAnswer.fit(material.labels, rows, cast("PairMaterial", material).cutting)

    def network(self, name: str, kind: Kind, answer: Answer, net: NetSettings) -> nn.Module:
        """A translator by name, from the source's vocabulary to the target's."""
        return build_translator(name, kind.sizes()["vocabulary"], answer.outputs, net)

    def objective(self, kind: Kind, answer: Answer, network: nn.Module) -> Translation:
        """The target's tokens, one after the other."""
        from penstock.objectives.translation import Decoding, Translation

        answer = cast("TargetAnswer", answer)
        most = max(answer.longest + answer.longest // 4, 4)
        return Translation(
            cast("Translator", network),
            kind.inputs,
            spell=answer.tokenizer.decode,
            smoothing=self.smoothing,
            sampling=self.sampling,
            decoding=Decoding(self.beam, self.penalty, most),
        )

    def decisions(self, material: Material, model: str, examples: int) -> dict[str, Any]:
        """How long a text may be."""
        return {"text": self.text.model_copy(update={"longest": self.text.longest or LONGEST})}

    def findings(self, trained: Answering, evaluation: Evaluation) -> dict[str, Any]:
        """Where the model looked."""
        source = cast("SourceKind", trained.kind).tokenizer
        return {"looks": cast("TargetAnswer", trained.answer).looks(evaluation, source)}
