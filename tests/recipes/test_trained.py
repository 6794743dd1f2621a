from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from penstock.core.errors import CheckpointError, DataError, RecipeError
from penstock.core.manifest import write_manifest
from penstock.data.features import Classes
from penstock.data.opened import ReadOptions
from penstock.kinds.category import CategoryAnswer
from penstock.kinds.table import TableKind
from penstock.models.linear import Linear
from penstock.recipes.answering import Answering
from penstock.recipes.architectures import ACTIVATIONS, MODELS, SEQUENCES, build_model
from penstock.recipes.classify import Classify
from penstock.recipes.labelled import Labelled
from penstock.recipes.recipe import recipe_type
from penstock.recipes.settings import NetSettings, OptimSettings
from penstock.recipes.trained import FILES, FORMAT

FRAME = pd.DataFrame({"a": np.arange(9) * 1.5, "b": list("xyzxyzxyz")})


def trained(model: nn.Module | None = None, name: str | None = "linear") -> Answering:
    from penstock.data.features import TableEncoder

    encoder = TableEncoder.fit(FRAME, {"a": "number", "b": "category"})
    kind = TableKind(encoder, ReadOptions())
    answer = CategoryAnswer(Classes(["猫", "狗", "鸟"]), [3, 3, 3])
    net = NetSettings()
    module = model or build_model("linear", kind.sizes(), 3, net)
    return Answering(Classify().objective(kind, answer, module), kind, answer, name, net)


def load(folder: Path, model: nn.Module | None = None) -> Answering:
    return Classify().load(folder, model)


def test_saved_and_loaded_it_predicts_the_same(tmp_path: Path) -> None:
    made = trained()
    made.save(tmp_path)
    loaded = load(tmp_path)
    assert not loaded.objective.training
    rows: list[object] = [{"a": 1.5, "b": "x"}, {"a": None, "b": "never seen"}]
    assert loaded.predict(rows) == made.predict(rows)
    said = loaded.predict([FRAME])
    assert len(said) == 9
    for row in said:
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-6)
        assert row["prediction"] == max(row["probabilities"], key=lambda name: row["probabilities"][name])


def test_a_row_alone_is_as_in_a_batch() -> None:
    made = trained()
    together = made.predict([FRAME])
    for at in range(len(FRAME)):
        (alone,) = made.predict([FRAME.iloc[[at]]])
        assert alone["probabilities"] == pytest.approx(together[at]["probabilities"], rel=1e-5, abs=1e-6)


def test_nothing_to_predict() -> None:
    with pytest.raises(DataError, match="no input was given"):
        trained().predict([])


class Doubled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 3)

    def forward(self, numbers: torch.Tensor, categories: torch.Tensor) -> torch.Tensor:
        return self.layer(2 * numbers) + categories.float()  # type: ignore[no-any-return]


def test_a_module_of_ones_own_must_be_given_again(tmp_path: Path) -> None:
    made = trained(Doubled(), None)
    made.save(tmp_path)
    with pytest.raises(CheckpointError, match=r"load\(path, model=m\)"):
        load(tmp_path)
    wide, bare = Doubled(), Doubled()
    wide.layer, bare.layer = nn.Linear(1, 4), nn.Linear(1, 3, bias=False)
    with pytest.raises(CheckpointError, match=r"'layer\.weight' is \(3, 1\) float32 in the file, \(4, 1\)"):
        load(tmp_path, wide)
    with pytest.raises(CheckpointError, match=r"'layer\.bias' has no place in the model"):
        load(tmp_path, bare)
    loaded = load(tmp_path, Doubled())
    assert loaded.predict([FRAME]) == made.predict([FRAME])


def damaged(folder: Path, edit: Any) -> None:
    trained().save(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    edit(config)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    write_manifest(folder, FILES, FORMAT)  # as one would who means harm


@pytest.mark.parametrize(
    "edit",
    [
        lambda config: config.clear(),
        lambda config: config.update(model="os:system"),
        lambda config: config.update(model="cnn"),
        lambda config: config.update(net={"hidden": "many"}),
        lambda config: config.update(net=None),
        lambda config: config["kind"].update(kind="smell"),
        lambda config: config["kind"].update(reading={"nothing": 1}),
        lambda config: config["kind"]["encoder"].update(numeric=[]),
        lambda config: config["kind"]["encoder"].update(version=2),
        lambda config: config["answer"]["classes"].update(names=["猫", "猫"]),
        lambda config: config["answer"].pop("counts"),
        lambda config: config.update(answer=[]),
    ],
)
def test_a_damaged_configuration(tmp_path: Path, edit: Any) -> None:
    damaged(tmp_path, edit)
    with pytest.raises(CheckpointError):
        load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\xfe", b"null"])
def test_a_configuration_that_is_none(tmp_path: Path, content: bytes) -> None:
    trained().save(tmp_path)
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load(tmp_path)


@pytest.mark.parametrize("keep", [0, 4, 40, -8])
def test_cut_weights(tmp_path: Path, keep: int) -> None:
    trained().save(tmp_path)
    path = tmp_path / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"weights\.safetensors"):
        load(tmp_path)
    path.unlink()
    with pytest.raises(CheckpointError, match="missing"):
        load(tmp_path)


def test_names_at_the_command_line_are_those_of_the_tables() -> None:
    with pytest.raises(RecipeError, match=r"model: 'resnet1' cannot be used; did you mean 'resnet"):
        recipe_type("classify").parse({"model": "resnet1"})
    assert all(name in (Labelled.model_fields["model"].description or "") for name in MODELS)
    assert set(NetSettings.model_fields["activation"].annotation.__args__) == set(ACTIVATIONS)  # type: ignore[union-attr]


TABLE = {"numbers": 3, "cardinalities": [4]}
PICTURE = {"channels": 3, "height": 16, "width": 16}


WORDS, SOUND = {"vocabulary": 7}, {"features": 3}


@pytest.mark.parametrize("name", MODELS)
def test_every_named_model_takes_its_input(name: str) -> None:
    net = NetSettings()
    taken = {
        "pictures": (PICTURE, (torch.zeros(2, 3, 16, 16),)),
        "table": (TABLE, (torch.zeros(2, 3), torch.zeros(2, 1, dtype=torch.int64))),
        "words": (WORDS, (torch.zeros(2, 9, dtype=torch.int64),)),
        "sound": (SOUND, (torch.zeros(2, 9, 3),)),
    }
    for kind, (sizes, given) in taken.items():
        if kind in TAKES.get(name, ["pictures"]):
            assert build_model(name, sizes, 5, net).eval()(*given).shape == (2, 5)
        else:
            with pytest.raises(RecipeError, match=rf"'{name}' takes .*, and these data are"):
                build_model(name, sizes, 5, net)


TAKES = {name: ["words", "sound"] for name in SEQUENCES}
TAKES |= {"linear": ["pictures", "table"], "mlp": ["pictures", "table"], "speech": ["sound"], "bag": ["words"]}


def test_a_setting_that_the_model_does_not_have_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"net\.widths: the model 'mlp' has no such choice"):
        build_model("mlp", PICTURE, 5, NetSettings(widths=[8]))
    with pytest.raises(RecipeError, match=r"net\.hidden: the model 'resnet20'"):
        build_model("resnet20", PICTURE, 5, NetSettings(hidden=[8]))


def test_the_network_is_as_the_settings_say() -> None:
    net = NetSettings(hidden=[7, 5], dropout=0.25, activation="tanh", numbers="periodic")
    model = build_model("mlp", TABLE, 2, net)
    layers = list(model.modules())
    assert [m.out_features for m in layers if isinstance(m, nn.Linear)][-3:] == [7, 5, 2]
    assert sum(isinstance(m, nn.Tanh) for m in layers) == 2
    assert {m.p for m in layers if isinstance(m, nn.Dropout)} == {0.25}
    assert any(type(m).__name__ == "Periodic" for m in layers)
    assert isinstance(build_model("linear", PICTURE, 2, NetSettings()), Linear)


@pytest.mark.parametrize("name", OptimSettings.model_fields["name"].annotation.__args__)  # type: ignore[union-attr]
def test_every_optimizer_and_schedule(name: str) -> None:
    for schedule in OptimSettings.model_fields["schedule"].annotation.__args__:  # type: ignore[union-attr]
        optimizer = OptimSettings(name=name, schedule=schedule, lr=0.5, weight_decay=0.1).build()
        assert (optimizer.lr, optimizer.weight_decay) == (0.5, 0.1)
        assert 0 <= optimizer.schedule(0.5) <= 1


def test_milestones_may_come_in_any_order() -> None:
    schedule = OptimSettings(schedule="piecewise", milestones=[0.8, 0.2], drop=0.5).build().schedule
    assert [schedule(at) for at in (0.1, 0.5, 0.9)] == [1.0, 0.5, 0.25]
