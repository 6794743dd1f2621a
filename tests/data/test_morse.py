"""Morse messages: the code, the times of its strokes, and the noise."""

from __future__ import annotations

import numpy as np
import pytest

from penstock.data.morse import CODE, LONGEST, RATE, Hand, keyed, message, messages


def test_the_code() -> None:
    assert (CODE["S"], CODE["O"], CODE["Q"], CODE["5"], CODE["?"]) == ("...", "---", "--.-", ".....", "..--..")
    assert len(set(CODE.values())) == len(CODE) == 41


def strokes(sound: np.ndarray) -> list[tuple[bool, float]]:
    """Whether there is a tone, and for how many seconds, one after the other."""
    loud = np.convolve(np.abs(sound), np.ones(15) / 15, "same") > 0.03
    edges = np.flatnonzero(np.diff(loud.astype(int))) + 1
    parts = np.split(loud, edges)
    return [(bool(part[0]), len(part) / RATE) for part in parts]


def test_a_message_is_keyed_to_the_beat() -> None:
    hand = Hand(speed=20, pitch=500, uneven=0.0, ratio=90)
    found = strokes(keyed("AT E", hand, np.random.default_rng(0)))
    wanted = [(False, 4), (True, 1), (False, 1), (True, 3), (False, 3), (True, 3), (False, 7), (True, 1), (False, 4)]
    assert [on for on, _ in found] == [on for on, _ in wanted]
    for (_, seconds), (_, units) in zip(found, wanted, strict=True):
        assert seconds == pytest.approx(units * 0.06, abs=0.012)


def test_paris_takes_a_minute_divided_by_the_speed() -> None:
    hand = Hand(speed=20, pitch=500, uneven=0.0, ratio=90)
    one, two = (len(keyed(text, hand, np.random.default_rng(0))) for text in ("PARIS", "PARIS PARIS"))
    assert (two - one) / RATE == pytest.approx(60 / 20, abs=0.01)


def test_noise_is_as_much_weaker_as_it_says() -> None:
    quiet, noisy = (
        keyed("TTTT", Hand(speed=20, pitch=500, uneven=0.0, ratio=ratio), np.random.default_rng(1))
        for ratio in (200.0, 10.0)
    )
    tone = 0.1**2 / 2  # of a sine of this height, while the key is down
    assert 10 * np.log10(tone / (noisy - quiet).var()) == pytest.approx(10, abs=0.3)


def test_messages_are_the_same_each_time_and_can_be_keyed() -> None:
    texts, sounds = messages(40, 3)
    again, same = messages(40, 3)
    assert texts == again
    assert all(np.array_equal(one, other) for one, other in zip(sounds, same, strict=True))
    assert all(1 <= len(text) <= LONGEST and set(text) <= {*CODE, " "} for text in texts)
    assert all(sound.dtype == np.float32 and np.isfinite(sound).all() for sound in sounds)
    assert len({*texts, *(message(np.random.default_rng(n), 12) for n in range(20))}) > 40
