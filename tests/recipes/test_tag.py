"""The tagging task, from files in columns to tags in the terminal; and texts that are classified."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.recipes.classify import Classify
from penstock.recipes.job import Job, Supplied
from penstock.recipes.tag import Tag

Command = Callable[..., Any]
Writer = Callable[..., Path]

SMALL = "--net.width 32 --threads 1 --batch-size 16 --compile off"


def built(recipe: type[Tag] | type[Classify], **settings: Any) -> Job:
    return recipe.parse({"steps": 1} | settings).build(Supplied())


def test_places_are_found_and_told(penstock: Command, here: Path, tagged: Writer) -> None:
    """Two sentences end alike and differ in what stands before: a tag depends on the words around."""
    tagged(here / "名.conll", 200)
    outcome = penstock(f"train tag --data 名.conll {SMALL} --epochs 15 --name run")
    assert outcome.code == 0, outcome.err
    metrics = json.loads((here / "runs/tag/run/evaluation.json").read_text(encoding="utf-8"))["metrics"]
    assert metrics["f1"] > 0.95
    assert "always 'O', the commonest tag" in outcome.err
    told = penstock("predict run --format json", "was seen in New York")
    (found,) = json.loads(told.out)
    assert found["tags"] == ["O", "O", "O", "B-place", "I-place"]
    assert found["spans"] == [{"kind": "place", "first": 3, "end": 5}]
    assert penstock("predict run", "in 北京").out.splitlines()[1] == "in 北京,O B-place"
    told = penstock("evaluate run --data 名.conll")
    assert told.code == 0
    assert "all rows" in told.out


def test_the_report_shows_sentences(penstock: Command, here: Path, tagged: Writer) -> None:
    tagged(here / "a.conll", 60)
    assert penstock(f"train tag --data a.conll {SMALL} --steps 3 --name run").code == 0
    page = (here / "runs/tag/run/report.html").read_text(encoding="utf-8")
    assert "The sentences with the mistakes that the model was surest of" in page
    assert 'class="wrong"' in page
    assert "Mistakes</h2>" not in page


@pytest.mark.parametrize("model", ["rnn", "lstm", "gru", "tcn", "transformer"])
def test_every_model_answers_every_word(model: str, tmp_path: Path, tagged: Writer) -> None:
    job = built(Tag, data=str(tagged(tmp_path / "a.conll")), model=model, net={"width": 16})
    batch = next(job.source)
    assert job.trained.objective(batch).shape == (*batch["target"].shape, 3)


def test_what_is_learned_knows_the_training_rows_only(tmp_path: Path, tagged: Writer) -> None:
    path = tagged(tmp_path / "a.conll")
    job = built(Tag, data=str(path))
    blocks = path.read_text(encoding="utf-8").split("\n\n")
    for row in range(len(blocks)):
        if f"a.conll:{sum(block.count(chr(10)) + 2 for block in blocks[:row]) + 1}" in held_out(job):
            blocks[row] = blocks[row].replace("gate", "novel").replace("was", "novel")
    path.write_text("\n\n".join(blocks), encoding="utf-8")
    again = built(Tag, data=str(path))
    assert again.trained.config() == job.trained.config()
    assert again.facts["fingerprint"] != job.facts["fingerprint"]


def held_out(job: Job) -> set[str]:
    """The places of the sentences that are not for training."""
    material = job.recipe.read_material()  # type: ignore[attr-defined]
    splits = job.recipe.divide(material)  # type: ignore[attr-defined]
    return {material.show(int(row))["place"] for part in ("validation", "test") for row in splits[part]}


def test_faults_of_tagged_files(penstock: Command, here: Path, tagged: Writer) -> None:
    tagged(here / "a.conll")
    penstock("train tag --data a.conl").refused(3, "a.conl", "did you mean 'a.conll'")
    penstock("train tag --data a.conll --tag-column 3").refused(2, "--tag-column", "3", "2")
    penstock("train tag --data a.conll --tag-column 1").refused(3, "both word and tag")
    penstock("train tag --data wine").refused(2, "wine", "python-roles")
    penstock("train classify --data python-roles").refused(3, "python-roles", "penstock train tag")
    (here / "b.conll").write_text("a O\nb O\n\n" * 9, encoding="utf-8")
    penstock("train tag --data b.conll").refused(3, "b.conll:1", "the same tag, 'O'")
    penstock("train tag --data a.conll --model cnn").refused(2, "model")
    assert not (here / "runs").exists()


def test_a_column_of_text_is_read_where_there_is_nothing_else(tmp_path: Path, texts: Writer) -> None:
    path = texts(tmp_path / "t.csv")
    job = built(Classify, data=str(path), target="subject")
    assert job.facts["kind"] == "text"
    assert job.recipe.dump()["model"] == "bag"
    lines = path.read_text(encoding="utf-8").splitlines()
    (tmp_path / "u.csv").write_text("\n".join(f"{line},{at % 7}" for at, line in enumerate(lines)), encoding="utf-8")
    wider = built(Classify, data=str(tmp_path / "u.csv"), target="subject")
    assert wider.facts["kind"] == "table"
    skipped = {column["name"]: column["detail"] for column in wider.facts["columns"] if column["kind"] == "skip"}
    assert skipped["text"].endswith("to learn from it alone: --columns.text text")
    by_hand = built(Classify, data=str(tmp_path / "u.csv"), target="subject", columns={"text": "text"})
    assert by_hand.facts["kind"] == "text"
    assert any("other columns of the table are left out" in finding for finding in by_hand.facts["suspicions"])


def test_texts_are_classified_and_scored(penstock: Command, here: Path, texts: Writer) -> None:
    texts(here / "t.csv", 150)
    for model in ("bag", "transformer"):
        line = f"train classify --data t.csv --target subject --model {model} {SMALL} --epochs 12 --optim.lr 5e-3"
        outcome = penstock(f"{line} --name {model}")
        assert outcome.code == 0, outcome.err
        metrics = json.loads((here / f"runs/classify/{model}/evaluation.json").read_text(encoding="utf-8"))["metrics"]
        assert metrics["accuracy"] > 0.9
        told = penstock(f"predict {model}", "see the water and more of the n7", "一 turbine to see")
        assert [line.split(",")[1] for line in told.out.splitlines()[1:]] == ["stream", "machine"]
        assert "all rows" in penstock(f"evaluate {model} --data t.csv").out


def test_a_number_can_be_told_from_a_text(penstock: Command, here: Path) -> None:
    words = ["dark and cold and very deep", "bright and warm and rather shallow"]
    lines = [f"{words[row % 2]} place {row},{(10, 90)[row % 2] + row % 3}" for row in range(90)]
    (here / "t.csv").write_text("text,light\n" + "\n".join(lines) + "\n", encoding="utf-8")
    assert (
        penstock(f"train regress --data t.csv --target light {SMALL} --epochs 20 --optim.lr 5e-3 --name run").code == 0
    )
    metrics = json.loads((here / "runs/regress/run/evaluation.json").read_text(encoding="utf-8"))["metrics"]
    assert metrics["r2"] > 0.8


def test_settings_of_other_data_are_refused(penstock: Command, here: Path, texts: Writer, table: Writer) -> None:
    texts(here / "t.csv")
    table(here / "u.csv")
    penstock("train classify --data t.csv --target subject --image.flip").refused(2, "image.flip", "pictures", "texts")
    penstock("train classify --data u.csv --target animal --text.longest 9").refused(2, "text.longest", "a table")
    penstock("train classify --data t.csv --target subject --model cnn").refused(2, "takes pictures", "texts")
    penstock("train classify --data u.csv --target animal --model gru").refused(2, "takes sequences", "a table")


def test_an_endless_line_is_refused_in_bounded_memory(penstock: Command, here: Path, processes: Any) -> None:
    """Line 9: a table of one line of 1 GB."""
    with (here / "t.csv").open("wb") as file:
        file.write(b"text,label\n")
        file.truncate(1 << 30)
    outcome = processes.run(here, ["train", "classify", "--data", "t.csv", "--target", "label"])
    outcome.refused(3, "t.csv:2", "a line of more than 64 MiB")
    (here / "u.csv").write_text("text,label\n", encoding="utf-8")
    small = processes.run(here, ["train", "classify", "--data", "u.csv", "--target", "label"])
    assert small.code == 3
    assert outcome.peak < small.peak + 40e6
