"""What classification and regression share: data with labels, of any kind."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from penstock.recipes.architectures import MODELS, RECURRENT, build_model, offers, one_of
from penstock.recipes.graded import Graded
from penstock.recipes.settings import (
    AudioSettings,
    ImageSettings,
    NetSettings,
    SeriesSettings,
    TableSettings,
    TextSettings,
)

if TYPE_CHECKING:
    from torch import nn

    from penstock.kinds.answer import Answer
    from penstock.kinds.kind import Kind, Material
    from penstock.objectives.predicting import Predicting

ENOUGH_FOR_PERIODIC = 2000
"""Training rows from which a table's numbers are given to an mlp as waves; with fewer it overfits."""


class Labelled(Graded):
    """A recipe for labelled tables, series, pictures, texts and sounds."""

    target: Annotated[str | None, Field(description="the column to predict (tables)")] = None
    columns: Annotated[dict[str, str], Field(description="the kind of a column, set by hand")] = Field(
        default_factory=dict
    )
    model: Annotated[
        str,
        Field(
            description=f"auto (pictures cnn, tables mlp, series lstm, texts bag, sounds speech) or {', '.join(MODELS)}"
        ),
        AfterValidator(one_of(MODELS)),
    ] = "auto"
    net: NetSettings = NetSettings()
    table: TableSettings = TableSettings()
    series: SeriesSettings = SeriesSettings()
    image: ImageSettings = ImageSettings()
    text: TextSettings = TextSettings()
    audio: AudioSettings = AudioSettings()

    @abstractmethod
    def objective_options(self, answer: Answer) -> dict[str, Any]:
        """What the task adds to its objective."""

    def objective(self, kind: Kind, answer: Answer, network: nn.Module) -> Predicting:
        """That which the kind of the answer asks for."""
        from penstock.kinds.number import NumberAnswer
        from penstock.objectives.supervised import Classification, Regression

        options = self.objective_options(answer)
        if isinstance(answer, NumberAnswer):
            scale = answer.scale
            return Regression(network, kind.inputs, centre=scale.mean, scale=scale.std, **options)
        return Classification(network, kind.inputs, **options)

    def network(self, name: str, kind: Kind, answer: Answer, net: NetSettings) -> nn.Module:
        """A model by name for the kind of the input."""
        return build_model(name, kind.sizes(), answer.outputs, net)

    def read_material(self, supplied: object = None, kind: Kind | None = None) -> Material:
        """The labelled data that `data` names, or the object given in its place.

        For a model that there is already, `kind` says what it takes: other columns are left alone, pictures brought to
        its size, and a split column is not looked for.
        """
        from penstock.data.opened import ImageData, SoundData, TableData, TextData
        from penstock.data.opening import open_data
        from penstock.kinds.audio import AudioMaterial
        from penstock.kinds.pictures import ImageMaterial
        from penstock.kinds.stretch import StretchKind, stretch_material
        from penstock.kinds.table import TableKind, TableMaterial, table_material
        from penstock.kinds.text import ReadTexts, TextKind, TextMaterial

        table = self.table
        reading = table.options()
        column = [kind.column] if isinstance(kind, TextKind) and kind.column is not None else None
        found: TableData | TableMaterial | ImageData | TextData | SoundData = open_data(self.data, reading, supplied)
        if isinstance(found, TableData) and self.series.rows is not None:
            return stretch_material(
                found,
                target=self.target,
                split_column=self.split.column if kind is None else None,
                rows=self.series.rows,
                by=self.series.by,
                used=kind.columns if isinstance(kind, StretchKind) else None,
                reading=reading,
            )
        if isinstance(found, TableData):
            found = table_material(
                found,
                target=self.target,
                kinds=dict.fromkeys(column, "text") if column else self.columns,
                split_column=self.split.column if kind is None else None,
                used=kind.encoder.columns if isinstance(kind, TableKind) else column,
                scaling=table.scaling,
                reading=reading,
            )
        if isinstance(found, TextData):
            return TextMaterial(found, ReadTexts(self.text.tokens, self.text.vocabulary, self.text.longest), reading)
        if isinstance(found, SoundData):
            if self.target is not None and found.choices:
                found = found.labelled(self.target)
            return AudioMaterial(found, *self.audio.objects())
        if isinstance(found, ImageData):
            return ImageMaterial(found, *self.image.objects())
        assert isinstance(found, TableMaterial)
        return found

    def decisions(self, material: Material, model: str, examples: int) -> dict[str, Any]:
        """The target's name, and how numbers are taken."""
        choices: dict[str, Any] = {}
        if "target" not in material.foreign:
            choices["target"] = str(material.labels.name)
        net: dict[str, Any] = {}
        if self.net.numbers == "auto":
            waves = model == "mlp" and examples >= ENOUGH_FOR_PERIODIC
            net["numbers"] = "periodic" if waves else "plain"
        if self.net.bidirectional is None and model in MODELS and offers(model, "bidirectional"):
            net["bidirectional"] = True
        choices["net"] = self.net.model_copy(update=net)
        if self.clip_norm is None and self.clip_value is None and model in RECURRENT:
            choices["clip_norm"] = 1.0
        return choices

    def refuse_foreign(self, material: Material) -> None:
        """Raises RecipeError for a setting that is not as it is by default and has no meaning for these data."""
        from penstock.recipes.foreign import refuse_foreign

        refuse_foreign(self, material)
