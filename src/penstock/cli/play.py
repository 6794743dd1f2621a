"""`penstock play RUN`"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from penstock.cli.output import place_for
from penstock.cli.verb import Verb
from penstock.core.errors import RecipeError

if TYPE_CHECKING:
    from penstock.recipes.showing import Frame


class Play(Verb):
    """What to show, and where."""

    usage = "penstock play RUN [--episodes N] [--seed N] [--sampled] [--window | --output FILE] [--second]"
    summary = (
        "Let a policy act and look on: in the terminal, in a window, or in a film, .gif or .mp4. The same seed makes "
        "the same. Against a model that has learned a board game, play yourself: a move a line."
    )
    examples = (
        "penstock play runs/control/cartpole-ppo-mlp",
        "penstock play runs/control/pendulum-sac-mlp --episodes 3 --window",
        "penstock play runs/control/cartpole-ppo-mlp --sampled --output play.gif",
        "penstock play runs/selfplay/tic-tac-toe-cnn --second",
    )
    positional = ("run",)

    run: Annotated[str, Field(description="folder or name of the run")]
    episodes: Annotated[int, Field(ge=1, le=10**6, description="how many")] = 1
    seed: Annotated[int, Field(ge=0, lt=1 << 62, description="of the first episode; the next has the next")] = 0
    sampled: Annotated[
        bool, Field(description="leave to chance what is left to it while learning; else the best is done")
    ] = False
    window: Annotated[bool, Field(description="in a window; else in the terminal")] = False
    output: Annotated[str | None, Field(description="a film to write, .gif or .mp4")] = None
    second: Annotated[bool, Field(description="of a board game: let the model begin")] = False
    trust_env: Annotated[bool, Field(description="run the code of an environment of your own")] = False
    runs: Annotated[str, Field(description="the folder of all runs")] = "runs"


OF_WORLDS, OF_GAMES = ("episodes", "seed", "sampled", "window", "output"), ("second",)


def run(words: Sequence[str]) -> int:
    """Show the episodes."""
    given = Play.read(words)
    if given is None:
        return 0
    if given.window and given.output is not None:
        raise RecipeError("--window", "a film is written where nobody looks on", "give --window or --output")
    place = place_for(given.output) if given.output is not None else None
    from penstock.recipes.films import check_film, every_nth, write_film
    from penstock.run.run import load

    if place is not None:
        check_film(place)
    loaded = load(given.run, runs=given.runs, trust_env=given.trust_env)
    if loaded.recipe.task == "selfplay":
        given.refuse(OF_WORLDS, "there is a game to be played, and nothing to look at")
        typed = (line.decode("utf-8", "replace") for line in sys.stdin.buffer)
        loaded.against(typed, print, second=given.second)
        return 0
    given.refuse(OF_GAMES, "there is no game in which somebody begins")
    letters = place is None and not given.window
    acts = loaded.play(episodes=given.episodes, seed=given.seed, sampled=given.sampled, letters=letters)
    if place is not None:
        nth = every_nth(acts.rate)
        chosen = (frame for frame in _told(acts) if frame.last or frame.step % nth == 0)
        write_film(place, (frame.picture for frame in chosen), acts.rate / nth)
        print(f"wrote {place}", file=sys.stderr)
    elif given.window:
        from penstock.cli.window import in_window

        in_window(_told(acts), acts.rate, given.run)
    else:
        from penstock.cli.terminal import in_terminal

        in_terminal(acts, acts.rate)
    return 0


def _told(frames: Iterable[Frame]) -> Iterator[Frame]:
    """The same, and how each episode ended."""
    for frame in frames:
        yield frame
        if frame.last:
            print(frame.said, file=sys.stderr)
