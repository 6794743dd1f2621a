"""Dates as people write them in several languages, and the same dates in ISO 8601: a translation without a download."""

from __future__ import annotations

import random
import re
from datetime import date, timedelta
from functools import cache

from penstock.core.random import derive

COUNT = 12_000
FIRST, LAST = date(1900, 1, 1), date(2049, 12, 31)
LOCALES = ("en_US", "en_GB", "de", "fr", "es", "it", "nl", "pt", "pl", "sv", "ru", "zh", "ja")
PATTERNS = ("full", "long", "medium", "short", "d MMMM y", "d MMM y", "EEE d MMM y")
_UNCLEAR = re.compile(r"\d{1,2}/\d{1,2}/\d+")
"""Which number is the month depends on the country: such a date has no one answer."""


@cache
def dates() -> list[tuple[str, str]]:
    """What was written, and the date: always the same ones, each writing once."""
    from babel import Locale
    from babel.dates import format_date

    draw = random.Random(derive(0, "dates"))
    locales = [Locale.parse(name) for name in LOCALES]
    found: dict[str, str] = {}
    while len(found) < COUNT:
        day = FIRST + timedelta(days=draw.randrange((LAST - FIRST).days + 1))
        text = format_date(day, draw.choice(PATTERNS), locale=draw.choice(locales))
        text = text.lower() if draw.random() < 0.1 else text
        if str(day.year) in text and not _UNCLEAR.search(text):
            found.setdefault(text, day.isoformat())
    return list(found.items())
