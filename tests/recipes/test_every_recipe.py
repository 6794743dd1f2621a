"""What every recipe of the registry must do, so that a later one has only to be added to it."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from penstock.cli.flags import Flag, flags_of, parse_flags
from penstock.core.batch import Batch
from penstock.core.errors import RecipeError
from penstock.core.settings import Settings
from penstock.engine.plan import Plan
from penstock.engine.stepper import Stepper
from penstock.engine.watcher import Row, Watcher
from penstock.recipes.job import Job, Supplied
from penstock.recipes.labelled import Labelled
from penstock.recipes.recipe import TASKS, TRUST, merged, nested, read_recipe_file, recipe_from, recipe_type
from penstock.run.execute import make_engine

Words = Callable[[str, str, Path], list[str]]

LABELLED = [task for task in TASKS if issubclass(recipe_type(task), Labelled)]
CASES = [(task, "default") for task in TASKS] + [(task, data) for task in LABELLED for data in ("table", "pictures")]
CASES.append(("classify", "texts"))

every_task = pytest.mark.parametrize("task", TASKS)
every_case = pytest.mark.parametrize(("task", "data"), CASES)


def built(words: list[str], **changes: Any) -> Job:
    """The job that a command line describes."""
    recipe = recipe_type(words[1])
    return recipe.parse(merged(parse_flags(recipe, words[2:]), nested(changes))).build(Supplied())


@every_case
def test_two_steps_move_every_parameter(task: str, data: str, tmp_path: Path, words_for: Words) -> None:
    job = built(words_for(task, data, tmp_path), steps=2)
    engine = make_engine(job)
    trainable = {name: p for name, p in engine.objective.named_parameters() if p.requires_grad}
    before = {name: p.detach().clone() for name, p in trainable.items()}
    assert "2 steps" in engine.run()
    assert engine.clock.step == 2
    still = [name for name, p in trainable.items() if torch.equal(before[name], p)]
    assert not still
    assert all(torch.isfinite(p).all() for p in trainable.values())


RATES: dict[str, Callable[[float], float]] = {
    "cosine": lambda at: at / 0.1 if at < 0.1 else (1 + math.cos(math.pi * (at - 0.1) / 0.9)) / 2,
    "linear": lambda at: at / 0.1 if at < 0.1 else 1 - (at - 0.1) / 0.9,
    "piecewise": lambda at: 1.0 if at < 0.5 else 0.1 if at < 0.75 else 0.01,
    "constant": lambda at: 1.0,
}
"""The factor on the rate at a share of the training, as the guide describes it."""


@every_task
@pytest.mark.parametrize("schedule", [None, *RATES])
def test_the_rate_follows_the_schedule(task: str, schedule: str | None, tmp_path: Path, words_for: Words) -> None:
    chosen = {} if schedule is None else {"optim.schedule": schedule}
    job = built(
        words_for(task, "default", tmp_path), steps=12, log_every=1, epochs=None, **{"optim.lr": 0.004}, **chosen
    )
    engine, rows = make_engine(job), Rows()
    engine.validation, engine.watchers = None, [rows]
    engine.run()
    assert rows.found == pytest.approx([0.004 * RATES[schedule or "cosine"]((k + 0.5) / 12) for k in range(12)])


class Rows(Watcher):
    """Keeps the rates."""

    def __init__(self) -> None:
        self.found: list[float] = []

    def measured(self, row: Row) -> None:
        self.found.append(row["rate"])


@every_case
def test_one_batch_can_be_learned_by_heart(task: str, data: str, tmp_path: Path, words_for: Words) -> None:
    """Without dropout, a hundred and fifty steps on the same few examples leave next to no loss."""
    if task == "generate":
        pytest.skip("a game has no loss that vanishes; see tests/recipes/test_generate.py")
    if task == "control":
        pytest.skip("the loss of a policy does not vanish; see tests/recipes/test_control.py")
    if task == "selfplay":
        pytest.skip("what a search finds is left to chance; see tests/objectives/test_policy_value.py")
    changes: dict[str, Any] = {"batch_size": 8, "precision": "float32"}
    if "dropout" in type(recipe_type(task).parse({}).net).model_fields:
        changes["net.dropout"] = 0.0
    flat = task in LABELLED and data != "texts"
    changes |= {"net.hidden": [32]} if flat else SHORT.get(task, {"net.width": 32})
    if built(words_for(task, data, tmp_path)).facts["kind"] == "image":
        changes["net.widths"] = [16, 16]
    job = built(words_for(task, data, tmp_path), **changes)
    engine = make_engine(job)
    batch = next(job.source)
    stepper = engine.stepper
    stepper.train()
    first = loss(stepper, batch)
    for number in range(150):
        stepper.step(batch, number + 1, 0.2)
    last = loss(stepper, batch)
    assert math.isfinite(first)
    assert last < 0.05 * first


SHORT: dict[str, dict[str, Any]] = {
    "language": {"context": 32, "net.width": 64, "optim.lr": 0.01},
    "reconstruct": {"method": "plain", "optim.lr": 0.01, "image.flip": False, "image.shift": 0},
}
"""What lets the examples of a task be learned by heart so soon; of a text, how a piece begins cannot be foretold."""


def loss(stepper: Stepper, batch: Batch) -> float:
    with torch.no_grad():
        return sum(update.loss.item() for update in stepper.objective.step(batch))


@pytest.mark.parametrize("task", LABELLED)
def test_preprocessing_of_a_table_knows_the_training_rows_only(task: str, tmp_path: Path, words_for: Words) -> None:
    words = words_for(task, "table", tmp_path)
    job = built(words)
    lines = (tmp_path / "t.csv").read_text(encoding="utf-8").splitlines()
    for part in ("validation", "test"):
        for row in job.held_out[part].indices.tolist():
            age, size, _, animal, price = lines[row + 1].split(",")
            lines[row + 1] = f"{float(age) + 500},{float(size) * 30},火星,{animal},{price}"
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    again = built(words)
    assert again.trained.kind.to_json() == job.trained.kind.to_json()
    assert again.trained.answer.to_json() == job.trained.answer.to_json()
    assert again.facts["fingerprint"] != job.facts["fingerprint"]


def test_preprocessing_of_pictures_knows_the_training_rows_only(tmp_path: Path, words_for: Words) -> None:
    words = words_for("classify", "pictures", tmp_path)
    job = built(words)
    material = job.recipe.read_material()
    for part in ("validation", "test"):
        for row in job.held_out[part].indices.tolist():
            Image.new("RGB", (8, 8), "white").save(tmp_path / "图片" / str(material.labels.index[row]))
    again = built(words)
    assert again.trained.kind.to_json() == job.trained.kind.to_json()
    assert again.facts["fingerprint"] != job.facts["fingerprint"]


@every_case
def test_dump_parses_back_to_itself(task: str, data: str, tmp_path: Path, words_for: Words) -> None:
    job = built(words_for(task, data, tmp_path))
    for recipe in (recipe_type(task).parse({}), job.recipe):
        dumped = json.loads(json.dumps(recipe.dump()))
        assert recipe_from(dumped) == recipe
        assert recipe_from(dumped).dump() == recipe.dump()
    assert None not in (job.recipe.dump()["batch_size"], job.recipe.dump()["model"])


def element_of(recipe: type[Settings], path: tuple[str, ...]) -> str:
    """The type of a list's elements, by name, else ""."""
    for name in path[:-1]:
        recipe = recipe.model_fields[name].annotation  # type: ignore[assignment]
    found = re.search(r"list\[.*?(str|int|float)", str(recipe.model_fields[path[-1]].annotation))
    return found[1] if found else ""


def value_for(flag: Flag, element: str, default: Any) -> Any:
    """A permissible value that is not the default."""
    choices = [choice for choice in flag.metavar.split("|") if choice != str(default)]
    if flag.shape == "names":
        return {"年龄": "number", "a.b": "skip"}
    if flag.shape == "switch":
        return not default
    if flag.shape == "list":
        return {"str": ["-", "n.v."], "int": [3, 4], "float": [0.25, 0.5]}[element]
    if "|" in flag.metavar:
        return choices[-1]
    if flag.path == ("audio", "rate"):
        return 4000
    if flag.metavar == "INTEGER":
        return 7
    if flag.metavar == "NUMBER":
        return 0.375
    return {"delimiter": ";", "model": flag.help.rsplit(", ", 1)[-1]}.get(flag.path[-1], "文 a=b")


def spread(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested settings as one level of dotted names, down to those that a user names."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        inner = isinstance(value, dict) and name != "columns"
        found |= spread(value, f"{above}{name}.") if inner else {above + name: value}
    return found


@every_task
def test_flags_file_and_keywords_give_the_same_recipe(task: str, tmp_path: Path) -> None:
    recipe = recipe_type(task)
    defaults = spread(recipe.parse({}).dump())
    flags = [flag for flag in flags_of(recipe) if flag.path != (TRUST,)]  # which no file may have
    values = {".".join(f.path): value_for(f, element_of(recipe, f.path), defaults[".".join(f.path)]) for f in flags}
    words: list[str] = []
    for flag in flags:
        value = values[".".join(flag.path)]
        if flag.shape == "names":
            words += [f"{flag.text.removesuffix('NAME')}{name}={kind}" for name, kind in value.items()]
        elif flag.shape == "switch":
            words += [flag.text] if value else ["--no-" + flag.text[2:]]
        elif flag.shape == "list":
            words += [flag.text, *map(str, value)]
        else:
            words += [f"{flag.text}={value}"] if len(words) % 2 else [flag.text, str(value)]
    from_words = recipe.parse(parse_flags(recipe, words))
    from_keywords = recipe.parse(nested(values))
    (tmp_path / "r.toml").write_text(toml(nested(values)), encoding="utf-8")
    from_file = recipe.parse(read_recipe_file(tmp_path / "r.toml"))
    (tmp_path / "r.json").write_text(json.dumps(from_words.dump()), encoding="utf-8")
    from_dump = recipe_from(read_recipe_file(tmp_path / "r.json"))
    assert from_words == from_keywords == from_file == from_dump
    assert spread(from_words.dump()) == values | {"task": task}
    assert all(values[name] != defaults[name] for name in values)


def toml(settings: Mapping[str, Any]) -> str:
    single = [f"{json.dumps(k, ensure_ascii=False)} = {literal(v)}" for k, v in settings.items() if type(v) is not dict]
    groups = [
        f"[{name}]\n" + "\n".join(f"{json.dumps(k, ensure_ascii=False)} = {literal(v)}" for k, v in group.items())
        for name, group in settings.items()
        if isinstance(group, dict)
    ]
    return "\n".join([*single, *groups]) + "\n"


def literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


@every_task
def test_every_setting_is_explained(task: str) -> None:
    for flag in flags_of(recipe_type(task)):
        assert flag.help, flag.text


@every_task
def test_the_plan_is_the_engines(task: str) -> None:
    assert set(Plan.model_fields) <= set(recipe_type(task).model_fields)


@pytest.mark.parametrize(
    "module", ["penstock", "penstock.cli.main", *(home.partition(":")[0] for home in TASKS.values())]
)
def test_recipes_import_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([m for m in ('torch', 'numpy', 'pandas', 'rich', 'PIL') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_task_that_does_not_exist() -> None:
    with pytest.raises(RecipeError, match="did you mean 'classify'"):
        recipe_type("clasify")


@pytest.mark.parametrize("given", [{}, {"task": 3}, [1]])
def test_settings_that_do_not_say_their_task(given: Any) -> None:
    with pytest.raises(RecipeError):
        recipe_from(given)


def test_dotted_names_become_groups() -> None:
    assert nested({"optim.lr": 1, "optim": {"name": "sgd"}, "a": 2}) == {"optim": {"lr": 1, "name": "sgd"}, "a": 2}
    assert merged({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}, "d": 4}) == {"a": {"b": 3, "c": 2}, "d": 4}


def test_unknown_settings_get_the_nearest_name() -> None:
    recipe = recipe_type("classify")
    with pytest.raises(RecipeError, match=r"there is no setting 'optim.lrr'; did you mean 'optim.lr'\?"):
        recipe.parse({"optim": {"lrr": 1}})
    with pytest.raises(RecipeError, match=r"did you mean 'batch_size'\?"):
        recipe.parse({"batch_sise": 1})
