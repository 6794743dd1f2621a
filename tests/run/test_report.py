from __future__ import annotations

import base64
import io
import json
import math
import re
import struct
import warnings
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from PIL import Image
from scipy.stats import binomtest

from penstock.core.errors import CheckpointError
from penstock.run.report.classification import most_confused_classes, most_confused_pairs
from penstock.run.report.headline import wilson
from penstock.run.report.markup import clean, element, escape, number, percent, picture, show
from penstock.run.report.page import build_report
from penstock.run.report.plots import bucket_means, extremes, histogram

NASTY = '<img src=x onerror="alert(1)">'
CLASSES = ["赤霞珠", "黑皮诺", NASTY]
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Checks that elements are closed in order, and gathers ids, links, tags, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    def values(self, name: str, tag: str | None = None) -> list[str]:
        return [value for kind, key, value in self.attributes if key == name and tag in (None, kind)]


def png(size: int = 8) -> str:
    target = io.BytesIO()
    Image.new("L", (size, size), 90).save(target, "png")
    return "data:image/png;base64," + base64.b64encode(target.getvalue()).decode()


def put(folder: Path, **files: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return folder


def metric_rows(folder: Path, metrics: dict[str, float | None]) -> None:
    rows: list[dict[str, Any]] = []
    for step in range(1, 41):
        loss = 2.0 * math.exp(-step / 8) if step != 7 else None
        rows.append({"split": "train", "step": step, "epoch": step / 10, "loss": loss, "rate": 1e-3, "norm": 1.5})
        if step % 10 == 0:
            rows.append({"split": "validation", "step": step, "epoch": step / 10, "loss": 0.5, **metrics})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def summary(metric: str, value: float) -> dict[str, Any]:
    return {
        "name": "运行一",
        "status": "finished",
        "steps": 40,
        "epochs": 4.0,
        "seconds": 75.2,
        "stopped": "4 epochs reached",
        "best": {"metric": metric, "value": value, "step": 30, "epoch": 3.0},
        "model": "mlp",
        "parameters": 12345,
        "command": "penstock train classify --data 数据.csv",
        "versions": {"torch": "2.13"},
        "machine": {"cpu": "some", "cores": 2},
        "date": "2026-11-20",
    }


def classify_folder(folder: Path) -> Path:
    counts = [[13, 0, 2], [2, 15, 1], [2, 3, 7]]
    per_class = [{"name": name, "precision": 0.7, "recall": None, "f1": 0.7, "support": 15} for name in CLASSES]
    bins = [{"confidence": None, "accuracy": None, "count": 0}, {"confidence": 0.9, "accuracy": 0.8, "count": 45}]
    mistakes = [
        {"truth": CLASSES[0], "predicted": NASTY, "confidence": 0.97, "place": "测试/1.png", "picture": png()},
        {"truth": CLASSES[1], "predicted": CLASSES[0], "confidence": 0.8, "place": "葡萄酒.csv:17", "row": {NASTY: 1}},
        {"truth": CLASSES[1], "predicted": NASTY, "confidence": 0.7, "picture": "https://example.org/x.png"},
    ]
    column = {"name": "酒精 $x^$", "kind": "number", "missing": 3, "distinct": 120, "detail": "11 to 15"}
    put(
        folder,
        recipe={"task": "classify", "plan": {"epochs": 4, "ema": None}, "model": {"widths": [64, 32]}},
        summary=summary("accuracy", 0.79),
        data={
            "name": "葡萄酒",
            "kind": "table",
            "examples": 178,
            "columns": [column],
            "image": None,
            "target": {"name": "品种", "kind": "category", "detail": None},
            "classes": [{"name": name, "train": 30, "validation": 10, "test": 15} for name in CLASSES],
            "splits": {"train": 90, "validation": 30, "test": 45},
            "suspicions": ["3 rows occur twice"],
        },
        evaluation={
            "split": "test",
            "examples": 45,
            "metrics": {"loss": 0.6, "accuracy": 35 / 45, "error": 10 / 45, "f1": 0.77, "auc": None},
            "baseline": {"name": "majority class", "metrics": {"accuracy": 0.4}},
            "classification": {
                "classes": CLASSES,
                "confusion": counts,
                "per_class": per_class,
                "reliability": {"bins": bins, "error": 0.1},
            },
            "mistakes": mistakes,
        },
    )
    metric_rows(folder, {"accuracy": 0.79, "f1": 0.77})
    return folder


def regress_folder(folder: Path) -> Path:
    points = np.random.default_rng(0).normal(size=(50, 2)).tolist()
    put(
        folder,
        recipe={"task": "regress", "seed": 1},
        summary=summary("rmse", 1.2),
        data={"name": "d", "target": {"name": "价格 $a_$ <b> -- ", "kind": "number"}},
        evaluation={
            "examples": 50,
            "metrics": {"rmse": 1.25, "mae": 1.0, "r2": 0.4},
            "baseline": {"name": "mean of the training targets", "metrics": {"rmse": 2.5}},
            "regression": {"points": points, "residuals": {"edges": [-1.0, 0.0, 1.0], "counts": [20, 30]}},
            "mistakes": [{"truth": 1.0, "predicted": 3.5, "residual": 2.5, "place": "a.csv:2", "row": {"年龄": 3}}],
        },
    )
    metric_rows(folder, {"rmse": 1.2, "mae": 1.0, "r2": 0.4})
    return folder


def read(folder: Path) -> tuple[str, Page]:
    text = build_report(folder).read_text(encoding="utf-8")
    return text, Page(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return classify_folder(tmp_path / "跑")


def test_the_page_has_every_section_and_the_contents_link_to_each(folder: Path) -> None:
    _, page = read(folder)
    anchors = ["result", "training", "confusion", "classes", "reliability", "mistakes", "data", "recipe", "reproduce"]
    assert page.values("id", "section") == anchors
    assert page.values("href", "a") == [f"#{anchor}" for anchor in anchors]


def test_regression_has_its_own_sections(tmp_path: Path) -> None:
    text, page = read(regress_folder(tmp_path / "r"))
    assert page.values("id", "section") == ["result", "training", "fit", "mistakes", "data", "recipe", "reproduce"]
    assert "That is 50.0% less than the trivial baseline (mean of the training targets)." in text
    assert "true 价格 $a_$ <b> -- " in page.text  # in the plot, as text
    assert "2.5" in page.text


def test_nothing_is_loaded_from_elsewhere_and_no_script_runs(folder: Path) -> None:
    text, page = read(folder)
    assert not {"script", "link", "iframe", "object", "base"} & set(page.tags)
    assert not re.search(r"https?://|@import|javascript:", text)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert all(source.startswith("data:image/png;base64,") for source in page.values("src"))
    assert all(target.startswith("#") for target in page.values("href"))
    assert set(re.findall(r"url\((.)", text)) <= {"#"}
    assert "default-src 'none'" in page.values("content")[0]


def test_text_of_the_user_is_shown_and_does_nothing(folder: Path) -> None:
    text, page = read(folder)
    assert NASTY not in text
    assert page.text.count(NASTY) >= 6
    assert page.tags.count("img") == 1  # the one picture that is a PNG; the foreign address is not used
    assert "example.org" not in text


def test_chinese_text_stays_text(folder: Path) -> None:
    _, page = read(folder)
    assert "运行一" in page.text
    assert {"赤霞珠", "黑皮诺", "酒精 $x^$", "葡萄酒.csv:17", "测试/1.png"} <= set(page.text)


def test_ids_are_unique_and_every_reference_has_its_target(tmp_path: Path) -> None:
    for page in (read(classify_folder(tmp_path / "c"))[1], read(regress_folder(tmp_path / "r"))[1]):
        ids = page.values("id")
        assert len(ids) == len(set(ids))
        wanted = {value[1:] for value in page.values("href")}
        wanted |= {match for _, _, value in page.attributes for match in re.findall(r"url\(#([^)]*)\)", value)}
        assert wanted <= set(ids)
        assert page.tags.count("svg") >= 4
        assert len(page.values("aria-label", "svg")) == page.tags.count("svg")


def test_plots_follow_the_theme_of_the_page(folder: Path) -> None:
    _, page = read(folder)
    styles = " ".join(value for tag, name, value in page.attributes if name == "style" and tag != "td")
    assert "var(--first)" in styles
    assert "var(--ink)" in styles
    assert not re.search(r"#[0-9a-f]{6}\b", styles)  # a fixed colour would vanish in one of the two themes


def test_the_same_files_give_the_same_bytes(folder: Path) -> None:
    first = build_report(folder).read_bytes()
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30}):  # nor do the user's settings matter
        assert build_report(folder).read_bytes() == first


def test_no_warning_and_no_setting_is_left_behind(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        build_report(regress_folder(tmp_path / "r"))
    assert caught == []
    assert dict(matplotlib.rcParams) == before


def test_what_is_missing_is_left_out(tmp_path: Path) -> None:
    folder = put(tmp_path / "bare", recipe={"task": "classify", "seed": 3})
    _, page = read(folder)
    assert page.values("id", "section") == ["recipe"]
    assert "bare" in page.text
    put(folder, summary={"best": {"metric": "accuracy", "value": 0.5}})
    text, page = read(folder)
    assert page.values("id", "section") == ["result", "recipe"]
    assert "best validation accuracy" in text
    put(folder, evaluation={"metrics": {"accuracy": 0.5}, "classification": {"classes": ["a"], "confusion": [[3]]}})
    text, page = read(folder)
    assert page.values("id", "section") == ["result", "confusion", "recipe"]
    assert "No example was confused." in text


def test_the_headline_tells_what_the_number_means(folder: Path) -> None:
    text, _ = read(folder)
    assert "35 of 45 test examples are classified correctly." in text
    assert "avoids 63.0% of the mistakes of the trivial baseline (majority class)" in text
    evaluation = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    evaluation["baseline"]["metrics"]["accuracy"] = 0.9
    put(folder, evaluation=evaluation)
    assert "no better than the trivial baseline" in read(folder)[0]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("recipe.json", '{"task": ', "recipe.json"),
        ("recipe.json", "[]", "expected form"),
        ("recipe.json", '{"task": "juggle"}', "task"),
        ("summary.json", '{"steps": "many"}', "steps"),
        ("evaluation.json", '{"metrics": {"accuracy": "high"}}', "metrics.accuracy"),
        ("evaluation.json", '{"classification": {"classes": ["a", "b"], "confusion": [[1]]}}', "2 x 2"),
        ("evaluation.json", '{"regression": {"residuals": {"edges": [1], "counts": [1]}}}', "2 edges"),
        ("metrics.jsonl", '{"step": 1}\n{"st\n', "metrics.jsonl:2"),
        ("metrics.jsonl", "[1]\n", "metrics.jsonl:1"),
    ],
)
def test_a_damaged_file_is_named(folder: Path, name: str, content: str, said: str) -> None:
    (folder / name).write_text(content)
    with pytest.raises(CheckpointError, match=re.escape(said)) as caught:
        build_report(folder)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_recipe_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"recipe\.json"):
        build_report(tmp_path)


def test_a_row_that_is_still_being_written_is_left_out(folder: Path) -> None:
    before = build_report(folder).read_bytes()
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"split": "train", "st')
    assert build_report(folder).read_bytes() == before


def test_many_classes_show_those_with_most_errors(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 3, size=(40, 40)) + 20 * np.eye(40, dtype=int)
    wrong = [counts[k].sum() + counts[:, k].sum() - 2 * counts[k, k] for k in range(40)]
    kept = most_confused_classes(counts)
    assert len(kept) == 30
    assert kept == sorted(kept)
    assert min(wrong[k] for k in kept) >= max(wrong[k] for k in set(range(40)) - set(kept))
    names = [f"类{k}" for k in range(40)]
    evaluation = {"classification": {"classes": names, "confusion": counts.tolist()}}
    _, page = read(put(tmp_path / "many", recipe={"task": "classify"}, evaluation=evaluation))
    assert "The 30 classes with the most errors, of 40; shares are of all examples of a class." in page.text
    heads = page.text[: page.text.index("Most confused pairs")]
    assert sum(name in heads for name in names) == 30


def test_confused_pairs_against_brute_force() -> None:
    counts = np.random.default_rng(1).integers(0, 50, size=(7, 7))
    pairs = [(truth, said, int(counts[truth, said])) for truth in range(7) for said in range(7) if truth != said]
    found = most_confused_pairs(counts)
    assert set(found) <= set(pairs)
    assert [times for *_, times in found] == sorted((times for *_, times in pairs), reverse=True)[:10]
    assert most_confused_pairs(np.diag([3, 4])) == []


@pytest.mark.parametrize(("right", "total"), [(0, 5), (5, 5), (441, 450), (1, 3)])
def test_wilson_against_scipy(right: int, total: int) -> None:
    expected = binomtest(right, total).proportion_ci(method="wilson")
    assert wilson(right, total) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_only_png_and_gif_data_is_a_picture() -> None:
    assert picture(png(), NASTY) is not None
    gif = "data:image/gif;base64," + base64.b64encode(b"GIF89a" + struct.pack("<HH", 300, 40) + bytes(20)).decode()
    assert picture(gif, "a") == f'<img src="{gif}" alt="a">'
    assert "small" in str(picture(png(28), "a"))
    assert "small" not in str(picture(png(300), "a"))
    assert NASTY not in str(picture(png(), NASTY))
    svg = base64.b64encode(b"<svg onload='alert(1)'/>" * 4).decode()
    for bad in (
        None,
        "",
        "https://example.org/x.png",
        "data:text/html;base64,AAAA",
        f"data:image/png;base64,{svg}",
        png() + '" onerror="alert(1)',
        png() + "\n",
        gif.replace("R0lG", "R0lH"),
        "data:image/png;base64,A",
    ):
        assert picture(bad, "x") is None


def test_escaping_of_text_and_attributes() -> None:
    assert element("p", "a<b", title='"&') == '<p title="&quot;&amp;">a&lt;b</p>'
    assert element("p", element("b", "x"), class_="y", id=None) == '<p class="y"><b>x</b></p>'
    assert escape("\ud800\x00中") == "\ufffd\ufffd中"
    assert clean("a\u202eb") == "a\ufffdb"


def test_numbers_as_people_write_them() -> None:
    assert [percent(x) for x in (1, 0.9999, 0.5, 0.0001, 0, None, math.nan)] == [
        "100%",
        ">99.9%",
        "50.0%",
        "<0.1%",
        "0%",
        "–",
        "–",
    ]
    assert [number(x) for x in (0.123456, 12345.678, 120.0, 1e-7, -3.5, 0.0)] == [
        "0.1235",
        "12,346",
        "120",
        "1e-07",
        "-3.5",
        "0",
    ]
    assert number(77.0, zeros=True) == "77.00"
    assert [show(x) for x in (None, True, [64, 32], {"a": "中"}, 0.25)] == ["–", "yes", "64, 32", '{"a": "中"}', "0.25"]


def test_thinning_keeps_spikes_and_means() -> None:
    x = np.arange(10_000.0)
    y = np.random.default_rng(0).normal(size=10_000)
    y[[1234, 8888]] = 50.0, -60.0
    thin_x, thin_y = extremes(x, y, 100)
    assert len(thin_x) <= 202
    assert (np.diff(thin_x) > 0).all()
    assert {50.0, -60.0} <= set(thin_y)
    mean_x, mean_y = bucket_means(x, y, 100)
    np.testing.assert_allclose(mean_y, y.reshape(100, 100).mean(1))
    np.testing.assert_allclose(mean_x, x.reshape(100, 100).mean(1))


def test_a_plot_does_not_depend_on_what_was_drawn_before() -> None:
    first = histogram("h", "label", [0, 1, 2], [3, 4], "x")
    histogram("other", "label", [0, 5], [9], "y")
    assert histogram("h", "label", [0, 1, 2], [3, 4], "x") == first
