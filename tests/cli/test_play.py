"""Looking on while a policy acts: in the terminal, in a film, in a window; the same seed makes the same."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from penstock.cli.terminal import dotted, in_terminal
from penstock.recipes.films import gif

Command = Callable[..., Any]
FEW = "--threads 1 --net.hidden 8 --measure.validation 2 --measure.test 4 --steps 2"
GATHERED = "--environments 4 --rollout.steps 8 --batch-size 8"


@pytest.fixture
def run(penstock: Command, here: Path) -> Path:
    outcome = penstock(f"train control {FEW} {GATHERED} --name run")
    assert outcome.code == 0, outcome.err
    return here / "runs" / "control" / "run"


def test_the_best_episode_of_the_test_is_in_the_report(run: Path, penstock: Command) -> None:
    with Image.open(run / "best-episode.gif") as film:
        assert film.size == (300, 200)
        assert film.n_frames > 2
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "data:image/gif;base64" in page
    assert "Return over time" in page
    rows = [json.loads(line) for line in (run / "times.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    assert 0 < rows[0]["seconds"] <= rows[1]["seconds"]
    assert penstock(f"train control {FEW} {GATHERED} --name still --no-measure.film").code == 0
    assert not (run.parent / "still" / "best-episode.gif").exists()


def test_films_and_the_terminal(run: Path, penstock: Command, here: Path) -> None:
    outcome = penstock("play run --episodes 2 --output two.gif")
    assert outcome.code == 0, outcome.err
    assert "episode 2: ended after" in outcome.err
    again = penstock("play run --episodes 2 --output again.gif")
    assert (here / "two.gif").read_bytes() == (here / "again.gif").read_bytes()
    assert again.err.splitlines()[:2] == outcome.err.splitlines()[:2]
    told = penstock("play run --seed 1").out
    assert told.endswith(outcome.err.splitlines()[1].replace("episode 2", "episode 1") + "\n")  # the next seed
    assert "⣿" in told  # the cart
    sampled = [penstock("play run --sampled").out.splitlines()[-1] for _ in range(2)]
    assert sampled[0] == sampled[1]


def test_a_window(run: Path, penstock: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pygame")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    penstock("play run --window").refused(2, "--window", "no display", "--output play.gif", alone=False)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    outcome = penstock("play run --window")
    assert outcome.code == 0, outcome.err


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        ("--output play.avi", ["--output", "'.avi'", ".gif or .mp4"]),
        ("--output play.gif --window", ["--window", "--output"]),
        ("--output nowhere/play.gif", ["--output", "nowhere"]),
        ("--episodes 0", ["--episodes"]),
    ],
)
def test_what_cannot_be_shown(words: str, texts: list[str], penstock: Command) -> None:
    penstock(f"play run {words}").refused(2, *texts)


def test_a_model_that_does_not_act(penstock: Command, here: Path) -> None:
    assert penstock("train classify --data wine --steps 1 --name other").code == 0
    penstock("play other").refused(2, "play", "classify")


def test_a_picture_in_dots() -> None:
    picture = np.full((40, 40, 3), 250, np.uint8)
    picture[20:, 20:] = (200, 0, 0)
    found = dotted(picture, 10, 5)
    assert found.plain.splitlines() == ["⠀" * 10] * 2 + ["⠀" * 5 + "⣤" * 5] + ["⠀" * 5 + "⣿" * 5] * 2
    assert {str(span.style) for span in found.spans} == {"rgb(200,0,0)"}


def test_a_film_keeps_its_time() -> None:
    pictures = [np.full((4, 4, 3), shade, np.uint8) for shade in (0, 100, 200)]
    times = []
    with Image.open(io.BytesIO(gif(pictures, 12.0))) as film:
        for at in range(film.n_frames):
            film.seek(at)
            times.append(film.info["duration"])
    assert times == [80, 80, 1500]


class _Told:
    def __init__(self, text: str, last: bool) -> None:
        self.text, self.last, self.said = text, last, "said"


def test_what_an_environment_writes_does_not_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), width=80)
    monkeypatch.setattr("penstock.cli.terminal.make_console", lambda: console)
    in_terminal([_Told("a\x1b[2Jb\nc", last=True)], 10.0)  # type: ignore[list-item]
    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b" not in written
    assert "c\nsaid" in written
