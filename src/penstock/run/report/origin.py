"""Where the numbers come from: the data, the recipe, the command, versions and machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from penstock.run.report.markup import Column, Html, Section, bar, count, element, facts, join, percent, show, table
from penstock.run.report.records import DataRecord, RunRecord


def data(run: RunRecord) -> Section | None:
    """What was read: suspicious findings first, then columns or picture size, and classes."""
    record = run.data
    if record is None:
        return None
    parts = [_warning(text) for text in record.suspicions]
    general = [("Name", record.name), ("Origin", record.origin), ("Examples", count(record.examples))]
    general += [(f"Split “{name}”", count(size)) for name, size in record.splits.items()]
    if record.image is not None:
        size = f"{record.image.width} × {record.image.height} pixels, {record.image.channels} channel(s)"
        general.append(("Pictures", size))
        general.append(("", show(record.image.detail)))
    general += [(name.capitalize(), detail) for name, detail in record.notes.items()]
    if record.target is not None:
        words = [record.target.name, record.target.kind, show(record.target.detail) if record.target.detail else ""]
        general.append(("Target", ", ".join(filter(None, words))))
    parts.append(facts("Data", [(name, value) for name, value in general if value and value != show(None)]))
    if record.columns:
        parts += [element("h3", "Columns"), _columns(record)]
    if record.classes:
        parts += [element("h3", "Classes in each split"), _classes(record)]
    return Section("data", "Data", join(parts))


def recipe(run: RunRecord) -> Section | None:
    """Every setting of the run."""
    pairs = [(name, show(value)) for name, value in flatten(run.recipe)]
    return Section("recipe", "Recipe", facts("Recipe", [("task", run.task), *pairs])) if pairs else None


def reproduce(run: RunRecord) -> Section | None:
    """The command, and what it ran on."""
    summary = run.summary
    if summary is None:
        return None
    parts = []
    if summary.command:
        parts += [element("pre", element("code", summary.command), tabindex=0, aria_label="Command")]
    pairs = [("Seed", show(summary.seed)), ("Date", show(summary.date))]
    pairs += [
        (name if name == "Machine" else f"Machine: {name[8:]}", show(value))
        for name, value in flatten({"Machine": summary.machine})
    ]
    pairs += [
        ("Device", show(summary.device)),
        ("Precision", show(summary.precision)),
        ("Threads", show(summary.threads)),
    ]
    pairs += [(f"Version of {name}", show(value)) for name, value in summary.versions.items()]
    pairs = [(name, value) for name, value in pairs if value != show(None)]
    if pairs:
        parts.append(facts("Versions and machine", pairs))
    return Section("reproduce", "Reproduce", join(parts)) if parts else None


def flatten(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested objects with dotted names."""
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, dict) and item:
            yield from flatten(item, f"{name}.")
        else:
            yield name, item


def _warning(text: str) -> Html:
    return element("p", element("b", "Look at this: "), text, class_="warning", role="note")


def _columns(record: DataRecord) -> Html:
    heads = [Column("Column"), Column("Kind"), Column("Missing", True), Column("Distinct", True), Column("Detail")]
    return table(
        "Columns",
        heads,
        (
            [
                item.name,
                item.kind,
                _missing(item.missing, record.examples),
                count(item.distinct),
                show(item.detail),
            ]
            for item in record.columns
        ),
    )


def _missing(missing: int | None, examples: int | None) -> str:
    return f"{count(missing)} ({percent(missing / examples)})" if missing and examples else count(missing)


def _classes(record: DataRecord) -> Html:
    found = record.classes or []
    most = max((item.train for item in found), default=0) or 1
    heads = [Column("Class"), Column("Train", True), Column("Validation", True), Column("Test", True)]
    rows = (
        [item.name, bar(item.train / most, count(item.train)), count(item.validation), count(item.test)]
        for item in found
    )
    return table("Classes in each split", heads, rows)
