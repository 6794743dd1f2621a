"""HTML that is safe by construction: every plain string is escaped, only `Html` goes through as it is."""

from __future__ import annotations

import base64
import binascii
import html
import json
import math
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

EMPTY = "–"  # what stands where there is no value
_VOID = {"img", "meta", "br"}
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]")
_PICTURE = re.compile(r"data:image/(?:png|gif);base64,([A-Za-z0-9+/]+={0,2})")


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def clean(text: str) -> str:
    """The text without control characters, lone surrogates and marks that turn the reading direction."""
    return _UNPRINTABLE.sub("\ufffd", text)


def escape(text: str) -> Html:
    """Any text as markup that shows it and does nothing else."""
    return text if isinstance(text, Html) else Html(html.escape(clean(text)))


def join(parts: Iterable[str], between: str = "") -> Html:
    """Several pieces as one; plain strings are escaped."""
    return Html(escape(between).join(escape(part) for part in parts))


def element(tag: str, *children: str, **attributes: str | float | None) -> Html:
    """One element of the page; plain strings in it are escaped.

    In attribute names `_` stands for `-`, and one at the end is dropped; None leaves the attribute out.
    """
    names = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None}
    opening = "".join(f' {name}="{html.escape(clean(str(value)))}"' for name, value in names.items())
    if tag in _VOID:
        return Html(f"<{tag}{opening}>")
    return Html(f"<{tag}{opening}>{join(children)}</{tag}>")


@dataclass(frozen=True)
class Section:
    """A part of the page: its anchor, its title and what it shows."""

    anchor: str
    title: str
    body: Html


@dataclass(frozen=True)
class Column:
    """The head of a table's column; numbers are aligned on the right."""

    title: str
    numeric: bool = False


def table(label: str, columns: Sequence[Column], rows: Iterable[Sequence[str]], name: str = "") -> Html:
    """A table inside a box of its own that scrolls; the first cell of a row is the row's head."""
    classes = ["number" if column.numeric else None for column in columns]
    head = element(
        "tr", *(element("th", column.title, scope="col", class_=kind) for column, kind in zip(columns, classes))
    )
    lines = [
        element(
            "tr",
            element("th", row[0], scope="row", class_=classes[0]),
            *(element("td", cell, class_=kind) for cell, kind in zip(row[1:], classes[1:])),
        )
        for row in rows
    ]
    body = element("table", element("thead", head), element("tbody", *lines), class_=name or None)
    return scroll_box(label, body)


def scroll_box(label: str, body: Html) -> Html:
    """A box that scrolls by itself, reachable by keyboard."""
    return element("div", body, class_="scroll", role="region", aria_label=label, tabindex=0)


def facts(label: str, pairs: Iterable[tuple[str, str]]) -> Html:
    """A table of names and values without a head."""
    rows = (element("tr", element("th", name, scope="row"), element("td", value)) for name, value in pairs)
    return scroll_box(label, element("table", element("tbody", *rows), class_="facts"))


def bar(share: float | None, text: str) -> Html:
    """A number with a bar behind it as long as `share`, in [0, 1]."""
    length = min(1.0, max(0.0, share or 0.0))
    return element("span", text, class_="bar", style=f"--v:{length:.3f}")


def figure(title: str, svg: Html, keys: Sequence[tuple[str, str]] = (), note: str = "") -> Html:
    """A plot with its title, the key to its colours as (css class, name), and a remark."""
    legend = element("span", *(element("span", name, class_=f"key {kind}") for kind, name in keys), class_="keys")
    caption = [element("strong", title), *([legend] if keys else []), *([element("small", note)] if note else [])]
    return element("figure", element("figcaption", *caption), svg)


def picture(source: str | None, alternative: str) -> Html | None:
    """A PNG or GIF that the page carries itself, or None where the source is anything else."""
    match = _PICTURE.fullmatch(source or "")
    if match is None:
        return None
    try:
        start = base64.b64decode(match[1][:32], validate=True)
    except binascii.Error:
        return None
    if start.startswith(b"\x89PNG\r\n\x1a\n") and len(start) == 24:
        width, height = struct.unpack(">II", start[16:24])
    elif start.startswith(b"GIF89a") and len(start) == 24:
        width, height = struct.unpack("<HH", start[6:10])
    else:
        return None
    small = max(width, height) <= 96  # enlarged as they are, smoothing would hide what the model saw
    return element("img", src=source, alt=alternative, class_="small" if small else None)


def show(value: Any) -> str:
    """Any JSON value as text that a person reads."""
    if value is None or value == "":
        return EMPTY
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
        return ", ".join(show(item) for item in value) or EMPTY
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def number(value: float | None, digits: int = 4, zeros: bool = False) -> str:
    """A number with so many significant digits, large ones with commas; `zeros` keeps those at the end."""
    if value is None or not math.isfinite(value):
        return EMPTY
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e15 or size < 1e-4:
        return f"{value:.{digits - 1}g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(size)))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text and not zeros else text


def count(value: int | None) -> str:
    """A whole number with commas."""
    return EMPTY if value is None else f"{value:,}"


def percent(share: float | None) -> str:
    """A share of one in percent; what is not quite all or nothing never reads 100% or 0%."""
    if share is None or not math.isfinite(share):
        return EMPTY
    text = f"{100 * share:.1f}%"
    if text == "100.0%" and share < 1:
        return ">99.9%"
    if text == "0.0%" and share > 0:
        return "<0.1%"
    return {"100.0%": "100%", "0.0%": "0%"}.get(text, text)


def duration(seconds: float | None) -> str:
    """A time span in its two largest units."""
    if seconds is None or not math.isfinite(seconds):
        return EMPTY
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def metric_name(key: str) -> str:
    """The name of a metric as it is written in text."""
    capitals = {
        "f1": "F1",
        "auc": "AUC",
        "rmse": "RMSE",
        "mae": "MAE",
        "mase": "MASE",
        "r2": "R²",
        "cer": "CER",
        "wer": "WER",
        "bleu": "BLEU",
        "chrf": "chrF",
    }
    return capitals.get(key, key.replace("_", " "))


def metric_value(key: str, value: float | None) -> str:
    """The value of a metric in its usual form: shares in percent, the others as numbers."""
    return percent(value) if key in ("accuracy", "error", "cer", "wer", "exact_match") else number(value, zeros=True)
