"""A voice that says one vowel in the four tones of Mandarin, generated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE = 8000
TONES = {"1 level": (5, 5, 5), "2 rising": (3, 3.6, 5), "3 dipping": (2, 1, 4), "4 falling": (5, 3.4, 1)}
"""The pitch of each tone at its beginning, middle and end, of five levels (Chao 1930, "A system of tone-letters")."""

_VOWELS = {"a": (800, 1200, 2500), "i": (300, 2300, 3000), "u": (350, 750, 2300), "e": (500, 1500, 2400)}
"""Formants in hertz, about those of Peterson and Barney 1952, table II."""


def tones(count: int, seed: int) -> tuple[list[str], list[NDArray[np.float32]]]:
    """The tone of each of `count` syllables, and its sound (S,) at `RATE`: many voices, vowels and lengths."""
    random = np.random.default_rng(seed)
    names = [list(TONES)[i] for i in random.permutation(np.arange(count) % len(TONES))]
    return names, [_syllable(TONES[name], random) for name in names]


def _syllable(levels: tuple[float, float, float], random: np.random.Generator) -> NDArray[np.float32]:
    size = int(random.uniform(0.2, 0.45) * RATE)
    place = np.linspace(0, 1, size)
    bent = np.interp(place, (0, random.uniform(0.4, 0.6), 1), np.array(levels) + random.normal(0, 0.25, 3))
    bent = np.convolve(np.pad(bent, 200, mode="edge"), np.hanning(401) / np.hanning(401).sum(), "valid")
    lowest, span = random.uniform(80, 180), random.uniform(0.8, 1.2)  # of this voice: hertz, octaves
    pitch = lowest * 2 ** (span * (bent - 1) / 4)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    vowel = _VOWELS[list(_VOWELS)[random.integers(len(_VOWELS))]]
    formants = np.array(vowel) * random.uniform(0.9, 1.15)
    sound = np.zeros(size)
    for number in range(1, 16):
        frequency = number * pitch
        loud = sum(1 / (1 + ((frequency - formant) / 120) ** 2) for formant in formants) + 0.03
        sound += np.where(frequency < RATE / 2, loud / number**0.5 * np.sin(number * phase), 0)
    rise = np.minimum(1, np.minimum(place, 1 - place) * size / (0.03 * RATE))
    sound *= rise / np.abs(sound).max() * random.uniform(0.1, 0.5)
    noise = random.normal(0, sound.std() * 10 ** (-random.uniform(5, 25) / 20), size)
    found: NDArray[np.float32] = (sound + noise).astype(np.float32)
    return found
