"""Tagging: what is each word of a sentence?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

from pydantic import AfterValidator, Field

from penstock.core.errors import RecipeError, suggest
from penstock.recipes.architectures import SEQUENCES, build_model, offers, one_of
from penstock.recipes.graded import Graded
from penstock.recipes.recipe import Where
from penstock.recipes.settings import NetSettings

if TYPE_CHECKING:
    from torch import nn

    from penstock.kinds.answer import Answer
    from penstock.kinds.kind import Kind, Material
    from penstock.kinds.tags import TagAnswer
    from penstock.objectives.tagging import Tagging


USUAL_WIDTH = 128
"""Numbers a word, half of them for itself and half for its letters, where none is given."""


class Tag(Graded):
    """Give every word of a sentence a tag: names, parts of speech, the roles of words."""

    task: ClassVar[str] = "tag"
    summary: ClassVar[str] = "give every word of a sentence a tag"
    example: ClassVar[str] = "penstock train tag --data names.conll --model lstm --epochs 20"
    activity: ClassVar[str] = "tagging"
    headline: ClassVar[Sequence[str]] = ("f1", "accuracy", "loss")
    examples_seen: ClassVar[int] = 60_000
    least_steps: ClassVar[int] = 300

    data: Where = "python-roles"
    word_column: Annotated[
        int, Field(ge=-100, le=100, description="where the words are, from 1, or from -1 backwards")
    ] = 1
    tag_column: Annotated[
        int, Field(ge=-100, le=100, description="where the tags are, from 1, or from -1 backwards")
    ] = -1
    encoding: Annotated[str, Field(description="of the files, e.g. utf-8, gbk, latin-1, utf-16")] = "utf-8"
    vocabulary: Annotated[
        int, Field(ge=1, le=1_000_000, description="words that are known by themselves, at most; the others are spelt")
    ] = 20_000
    model: Annotated[
        str, Field(description=f"auto (gru), {', '.join(SEQUENCES)}"), AfterValidator(one_of(SEQUENCES))
    ] = "auto"
    net: NetSettings = NetSettings()
    monitor: Annotated[str, Field(description="the validation metric that chooses the best weights")] = "f1"
    clip_norm: Annotated[float | None, Field(gt=0, description="scale gradients down to this norm; none: do not")] = 1.0
    ema: Annotated[
        float | None, Field(gt=0, lt=1, description="evaluate and keep a moving average of the weights; none: do not")
    ] = 0.99

    def read_material(self, supplied: object = None, kind: Kind | None = None) -> Material:
        """The sentences that `data` names."""
        from pathlib import Path

        from penstock.data.named import NAMED, load
        from penstock.data.paths import missing
        from penstock.data.tagged import Columns, Tagged, open_tagged
        from penstock.kinds.words import WordsMaterial

        if supplied is not None:
            raise RecipeError("data", "sentences are read from files", "give a path")
        columns = Columns(self.word_column, self.tag_column)
        path = Path(self.data)
        if self.data in NAMED and not path.exists():
            known = [name for name, found in NAMED.items() if found.task == self.task]
            if self.data not in known:
                task = NAMED[self.data].task
                raise RecipeError("data", f"{self.data} has no tags, it is for {task}", suggest(self.data, known))
            frame = load(self.data).frame
            assert frame is not None
            found = Tagged(self.data, self.data, frame["words"], frame["tags"])
        elif not path.exists():
            raise missing(path)
        else:
            found = open_tagged(path, columns, self.encoding)
        return WordsMaterial(found, self.vocabulary, columns, self.encoding)

    def fit_answer(self, material: Material, rows: Any) -> Answer:
        """The tags."""
        from penstock.kinds.tags import TagAnswer

        return TagAnswer.fit(material.labels, rows)

    def network(self, name: str, kind: Kind, answer: Answer, net: NetSettings) -> nn.Module:
        """Words and their letters, then a network over sequences by name."""
        from penstock.models.words import WordFront, WordNet

        half = max((net.width or USUAL_WIDTH) // 2, 1)
        front = WordFront(**kind.sizes(), word=half, spelling=half)

        def body(features: int) -> nn.Module:
            return build_model(name, {"features": features}, answer.outputs, net, SEQUENCES, pooled=False)

        return WordNet(front, body)

    def objective(self, kind: Kind, answer: Answer, network: nn.Module) -> Tagging:
        """A class at every step."""
        from penstock.objectives.tagging import Tagging

        return Tagging(network, kind.inputs, tags=cast("TagAnswer", answer).tags)

    def decisions(self, material: Material, model: str, examples: int) -> dict[str, Any]:
        """Both directions, where the network has a choice: what follows a word tells as much as what precedes it."""
        if self.net.bidirectional is None and model in SEQUENCES and offers(model, "bidirectional"):
            return {"net": self.net.model_copy(update={"bidirectional": True})}
        return {}
