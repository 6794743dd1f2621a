"""The colours and shapes with which classes are drawn."""

from __future__ import annotations

COLOURS = ("#4269d0", "#e8963a", "#d64550", "#3ca39a", "#6f9f3a", "#9b5fc0", "#c45a96", "#9c6b4e", "#6d7f95", "#c2a12d")
"""Of classes, in turn; after ten another shape of point."""
SHAPES = "o^sDvP"
