"""Figures as SVG that lives inside the page: its text stays text, its colours follow the page's light or dark theme."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure

from penstock.run.report.markup import Html, clean

# Stand-ins that are painted with and then replaced by the page's own colours, which differ between light and dark.
INK, MUTED, GRID = "#010101", "#020202", "#030303"
FIRST, SECOND, THIRD = "#040404", "#050505", "#060606"
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    FIRST: "var(--first)",
    SECOND: "var(--second)",
    THIRD: "var(--third)",
}
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "penstock",
    "text.usetex": False,
    "font.size": 10.5,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.major.pad": 5,
    "ytick.major.pad": 5,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "lines.solid_joinstyle": "round",
    "path.simplify": True,
}
_LONG_FRACTION = re.compile(r"-?\d+\.\d{3,}")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def draw(prefix: str, label: str, paint: Callable[[Figure], None], size: tuple[float, float] = (5.4, 3.1)) -> Html:
    """Paint a figure of `size` inches and return it as an element of the page.

    `prefix` makes its ids its own; `label` says in words what the plot shows. The same input gives the same text.
    """
    with matplotlib.rc_context(), warnings.catch_warnings():
        # The user's own matplotlib settings must not change the page, and glyphs that the measuring font lacks are
        # no loss: the browser draws the text.
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=size, layout="constrained")
        paint(figure)
        target = io.StringIO()
        figure.savefig(target, format="svg", transparent=True, metadata={"Date": None})
    return _inline(target.getvalue(), prefix, label)


def _inline(text: str, prefix: str, label: str) -> Html:
    """The SVG as part of an HTML page: no namespaces, sizes, global styles or ids that another plot could have."""
    root = ElementTree.fromstring(text)
    _drop(root, "metadata", "style")
    used: set[str] = set()
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2]
        for name in list(node.attrib):
            plain = name.rpartition("}")[2]
            value = node.attrib.pop(name)
            node.attrib[plain] = value
            used.update([value[1:]] if plain == "href" else _REFERENCE.findall(value))
    for node in root.iter():
        _adapt(node, prefix, used)
    for node in root.iter():
        _share_style(node)
    view = root.attrib["viewBox"]
    root.attrib = {"viewBox": view, "class": "plot", "role": "img", "aria-label": clean(label)}
    for node in root.iter():
        node.text = node.text if node.tag == "text" else None
        node.tail = None
    return Html(ElementTree.tostring(root, encoding="unicode"))


def _drop(root: ElementTree.Element, *tags: str) -> None:
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in tags:
                parent.remove(child)


def _adapt(node: ElementTree.Element, prefix: str, used: set[str]) -> None:
    """Rename the ids that something refers to and drop the others; swap the stand-in colours; shorten the numbers."""
    values = node.attrib
    if "id" in values:
        name = values.pop("id")
        if name in used:
            values["id"] = f"{prefix}-{name}"
    if "href" in values:
        values["href"] = f"#{prefix}-{values['href'][1:]}"
    for name in ("clip-path", "style"):
        if name in values:
            values[name] = _REFERENCE.sub(lambda match: f"url(#{prefix}-{match[1]})", values[name])
    if "style" in values:
        for stand_in, variable in _VARIABLES.items():
            values["style"] = values["style"].replace(stand_in, variable)
    for name in ("d", "x", "y", "width", "height", "transform"):
        if name in values:
            short = _LONG_FRACTION.sub(lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), values[name])
            values[name] = " ".join(short.split())


def _share_style(node: ElementTree.Element) -> None:
    """State the style that many markers have in common once, on their group: it halves the size of a scatter plot."""
    markers = [child for child in node if child.tag == "use"]
    styles = {child.attrib.get("style") for child in markers}
    if len(markers) > 1 and len(markers) == len(node) and len(styles) == 1 and None not in styles:
        node.attrib["style"] = styles.pop() or ""
        for child in markers:
            del child.attrib["style"]
