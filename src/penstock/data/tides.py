"""A year at a tide gauge, generated: astronomy that can be computed, and weather that can not."""

from __future__ import annotations

import numpy as np
import pandas as pd

HOURS = 366 * 24
CONSTITUENTS = (
    (28.9841042, 1.20, 40.0),
    (30.0000000, 0.35, 95.0),
    (28.4397295, 0.24, 15.0),
    (15.0410686, 0.14, 200.0),
    (13.9430356, 0.11, 320.0),
    (57.9682084, 0.09, 110.0),
)
"""Degrees an hour, metres and degrees at the start, of M2, S2, N2, K1, O1 and M4: the speeds are those of the moon and
the sun (Doodson 1921, "The harmonic development of the tide-generating potential")."""
METRES_A_HECTOPASCAL = -0.00993
"""By so much the sea rises where the air presses more: the inverse barometer."""
DELAY = 6
"""Hours by which the sea follows the air."""


def tides(seed: int = 20240101) -> pd.DataFrame:
    """Columns "time", "level" (m) and "pressure" (hPa), a row an hour through the year 2024; the same in each call."""
    random = np.random.default_rng(seed)
    hour = np.arange(HOURS)
    level = np.full(HOURS, 3.0)
    for speed, size, phase in CONSTITUENTS:
        level += size * np.cos(np.deg2rad(speed * hour + phase))
    pressure = 1013.25 + _weather(random, HOURS + DELAY)
    level += METRES_A_HECTOPASCAL * (pressure[:HOURS] - 1013.25) * 1.6  # wind piles water up where the air is thin
    level += random.normal(0, 0.015, HOURS)
    return pd.DataFrame(
        {
            "time": pd.date_range("2024-01-01", periods=HOURS, freq="h"),
            "level": level.round(2),
            "pressure": pressure[DELAY:].round(1),
        },
        index=pd.Index([f"tides:{row}" for row in range(1, HOURS + 1)], dtype=object),
    )


def _weather(random: np.random.Generator, hours: int) -> np.ndarray:
    """Deviations of the air pressure (hours,): twice smoothed noise with a memory of days, of 10 hPa on average."""
    smooth, rough = np.zeros(hours), np.zeros(hours)
    noise = random.normal(size=hours)
    for at in range(1, hours):
        rough[at] = 0.97 * rough[at - 1] + noise[at]
        smooth[at] = 0.93 * smooth[at - 1] + 0.07 * rough[at]
    return np.asarray(10 * smooth / smooth.std())
