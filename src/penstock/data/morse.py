"""Messages in Morse code, heard: tones of a hand that is never quite even, in noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LONGEST = 12
"""Characters of a message, at most."""
RATE = 2000
"""Samples a second: the tones lie far below half of it."""

_CODES = {
    "ABCDEFGHI": ".- -... -.-. -.. . ..-. --. .... ..",
    "JKLMNOPQR": ".--- -.- .-.. -- -. --- .--. --.- .-.",
    "STUVWXYZ": "... - ..- ...- .-- -..- -.-- --..",
    "0123456789": "----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----.",
    "?/=,.": "..--.. -..-. -...- --..-- .-.-.-",
}
CODE = {letter: code for letters, codes in _CODES.items() for letter, code in zip(letters, codes.split(), strict=True)}
"""International Morse code (ITU-R M.1677-1, part I): a dot is one unit long, a dash three, with one between them, three
between letters and seven between words."""

_SENT = """
CQ DE K R TU TNX FER CALL UR RST IS 599 579 559 NAME QTH RIG ANT PWR WX HW? BK = GM GA GE OM ES HR AGN PSE QSL QSO QRM
QRN QRP QSB QSY QRZ? SUNNY RAIN SNOW CLOUDY WIND WARM COLD DIPOLE VERTICAL LOOP BEAM WATTS 5W 10W 100W 73 88 SK LONDON
PARIS BERLIN TOKYO BEIJING OSLO ROME MADRID LIMA CAIRO DELHI SYDNEY THE SHIP HARBOUR NORTH SOUTH EAST WEST LIGHT TIDE
ANCHOR MESSAGE STATION WATER POWER ENGINE STORM CALM NIGHT MORNING ARRIVED SAILED NEED HELP ALL WELL QUIET RIVER BRIDGE
GATE PIPE
"""
_WORDS = _SENT.split()
_LETTERS, _FIGURES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"


@dataclass(frozen=True, kw_only=True)
class Hand:
    """How a message is sent. `speed` in words a minute (of PARIS, 50 units), `pitch` in hertz, `uneven`: the deviation
    of each length as a share of it, `ratio` of the tone's power to the noise's over the whole band, in dB."""

    speed: float
    pitch: float
    uneven: float
    ratio: float


def message(random: np.random.Generator, longest: int) -> str:
    """Words, call signs and figures that operators send, of at most `longest` characters."""
    text = ""
    while True:
        sort = random.random()
        if sort < 0.6:
            word = _WORDS[random.integers(len(_WORDS))]
        elif sort < 0.8:
            word = (
                _drawn(random, _LETTERS, (1, 2)) + _drawn(random, _FIGURES, (1, 1)) + _drawn(random, _LETTERS, (2, 3))
            )
        elif sort < 0.9:
            word = _drawn(random, _FIGURES, (2, 4))
        else:
            word = _drawn(random, _LETTERS + _FIGURES + "/,.?", (2, 5))
        longer = f"{text} {word}".strip()
        if len(longer) > longest:
            return text or word[:longest]
        text = longer


def keyed(text: str, hand: Hand, random: np.random.Generator) -> NDArray[np.float32]:
    """The sound of a message (S,) at `RATE`, between silences; the key's edges are soft, as a filter makes them."""
    units = np.array(_strokes(text))
    uneven = np.clip(1 + hand.uneven * random.standard_normal(len(units)), 0.5, 1.5)
    lengths = np.rint(units * uneven * (1.2 / hand.speed) * RATE).astype(np.int64)  # 1.2 s: a minute is 50 units long
    level = np.repeat(np.arange(len(units)) % 2, lengths).astype(np.float32)
    level = np.convolve(level, _EDGE, "same").astype(np.float32)
    phase = 2 * np.pi * (hand.pitch / RATE * np.arange(len(level)) + random.random())
    noise = random.standard_normal(len(level), dtype=np.float32) * np.sqrt(0.5 * 10 ** (-hand.ratio / 10))
    found: NDArray[np.float32] = (0.1 * (level * np.sin(phase) + noise)).astype(np.float32)
    return found


def messages(count: int, seed: int, *, ratio: float = 10.0) -> tuple[list[str], list[NDArray[np.float32]]]:
    """Texts and their sounds, by hands of 15 to 30 words a minute and pitches of 400 to 800 hertz."""
    random = np.random.default_rng(seed)
    # half of them are short: a network finds out sooner what a letter is where there are few
    longest = np.ceil(LONGEST * random.random(count) ** 2).astype(int).clip(1)
    texts = [message(random, int(most)) for most in longest]
    sounds = [
        keyed(text, Hand(speed=speed, pitch=pitch, uneven=uneven, ratio=ratio), random)
        for text, speed, pitch, uneven in zip(
            texts,
            random.uniform(15, 30, count),
            random.uniform(400, 800, count),
            random.uniform(0.02, 0.12, count),
            strict=True,
        )
    ]
    return texts, sounds


def _strokes(text: str) -> list[float]:
    """Units of silence, tone, silence, tone, ..., silence."""
    found = [4.0]
    for character in text:
        if character == " ":
            found[-1] = 7.0
            continue
        for symbol in CODE[character]:
            found += [3.0 if symbol == "-" else 1.0, 1.0]
        found[-1] = 3.0
    found[-1] = 4.0
    return found


def _drawn(random: np.random.Generator, letters: str, sizes: tuple[int, int]) -> str:
    return "".join(letters[i] for i in random.integers(len(letters), size=random.integers(sizes[0], sizes[1] + 1)))


_EDGE = np.hanning(12)[1:-1] / np.hanning(12).sum()
"""Five milliseconds."""
