"""The report: one HTML file that needs nothing else, made from the files of a run folder alone."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from penstock.core.files import write_text
from penstock.run.report import (
    acting,
    alignment,
    attention,
    boards,
    classification,
    forecast,
    headline,
    language,
    making,
    memory,
    mistakes,
    origin,
    reconstruction,
    regression,
    tagging,
    trading,
    training,
)
from penstock.run.report.markup import Html, Section, element, join
from penstock.run.report.records import RunRecord, read_run

# The browser itself is told to load nothing and to run nothing, whatever the data says.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_SECTIONS = (
    headline.result,
    training.training,
    acting.acting,
    boards.games,
    boards.opening,
    trading.trading,
    classification.confusion,
    classification.classes,
    classification.reliability,
    regression.fit,
    language.samples,
    language.surprise,
    attention.looks,
    making.samples,
    making.balance,
    making.variety,
    making.neighbours,
    tagging.sentences,
    forecast.forecast,
    reconstruction.likenesses,
    reconstruction.samples,
    reconstruction.code_map,
    reconstruction.errors,
    memory.memory,
    mistakes.mistakes,
    alignment.alignment,
    origin.data,
    origin.recipe,
    origin.reproduce,
)


def build_report(folder: Path) -> Path:
    """Write ``report.html`` into a run folder and return its path; the same files give the same bytes.

    Raises CheckpointError where recipe.json is missing or a file is damaged, ResourceError where the disk refuses.
    """
    path = folder / "report.html"
    write_text(path, render(read_run(folder)))
    return path


def render(run: RunRecord) -> str:
    """The whole page as text. What the run does not have is left out."""
    sections = [section for section in (build(run) for build in _SECTIONS) if section is not None]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{run.name} · Penstock"),
        element("style", Html(files(__package__).joinpath("style.css").read_text(encoding="utf-8"))),
    )
    main = element("main", *(_section(section) for section in sections))
    body = element("body", headline.header(run), element("div", _contents(sections), main, class_="page"))
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _contents(sections: Sequence[Section]) -> Html:
    links = (element("li", element("a", section.title, href=f"#{section.anchor}")) for section in sections)
    return element("nav", element("ol", *links), aria_label="Contents")


def _section(section: Section) -> Html:
    title = element("h2", section.title, id=f"{section.anchor}-title")
    content = join([title, section.body])
    return element("section", content, id=section.anchor, aria_labelledby=f"{section.anchor}-title")
