"""A run's folder as an object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from torch import nn

from penstock.core.errors import CheckpointError, RecipeError
from penstock.core.files import read_json
from penstock.engine.device import pick_device
from penstock.recipes.recipe import Recipe, recipe_from
from penstock.recipes.trained import Trained
from penstock.run.folder import DATA, MODEL, RECIPE, SUMMARY, find_run
from penstock.run.report.page import build_report

if TYPE_CHECKING:
    from penstock.recipes.codes import Codes
    from penstock.recipes.making import Made
    from penstock.recipes.showing import Show
    from penstock.recipes.worlds import Shown

T = TypeVar("T")


class Run:
    """A trained run: evaluates, predicts, and writes its report. Get one from `penstock.train` or `penstock.load`."""

    def __init__(
        self, folder: Path, model: nn.Module | None = None, data: object = None, *, trust_env: bool = False
    ) -> None:
        self.folder = folder
        recipe = recipe_from(read_json(folder / RECIPE), str(folder / RECIPE))
        self.recipe: Recipe = recipe.trusting() if trust_env else recipe
        if not (folder / MODEL).is_dir():
            raise CheckpointError(folder, "this run has not been finished", f"go on with: penstock resume {folder}")
        self.trained: Trained = self.recipe.load(folder / MODEL, model)
        self.trained.objective.to(pick_device(self.recipe.device, fallback=True))
        self._data = data

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @property
    def summary(self) -> dict[str, Any]:
        """What happened in training: steps, seconds, the best validation metric, versions."""
        found: dict[str, Any] = read_json(self.folder / SUMMARY)
        return found

    @property
    def model(self) -> nn.Module:
        """The trained network."""
        return self.trained.network

    def predict(self, inputs: object) -> list[dict[str, Any]]:
        """Predictions for raw inputs that were in no data set, one dict an example.

        `inputs` is a path of a table, a picture or a folder of pictures, a DataFrame, a dict of a row, an array of
        pixels, or a list of any of these. Raises DataError where one cannot be read.
        """
        return self.trained.predict(_several(inputs) or [])

    def write(
        self,
        prompt: str = "",
        *,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
        length: int = 500,
        condition: Mapping[str, str] | None = None,
    ) -> Iterator[str]:
        """What a model that has learned a language writes after a prompt, piece by piece: `penstock sample`.

        Raises RecipeError for a model that writes nothing, and for what it was not told in training.
        """
        from penstock.decoding.sampling import Sampling
        from penstock.recipes.writing import Writing

        sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
        return self._able(self.trained, Writing, "sample").write(
            prompt, sampling=sampling, seed=seed, length=length, condition=condition
        )

    def encode(self, inputs: object = None) -> Codes:
        """The codes of raw inputs, as `predict` takes them, or of the run's own data; RecipeError of other models."""
        from penstock.recipes.codes import codes_of
        from penstock.recipes.reconstruct import Reconstruct
        from penstock.recipes.reconstructing import Reconstructing

        recipe = self._able(self.recipe, Reconstruct, "encode")
        return codes_of(recipe, self._able(self.trained, Reconstructing, "encode"), self._data, _several(inputs))

    def reconstruct(self, inputs: object, *, told: str | None = None) -> Made:
        """What raw inputs look or sound like after they were coded, as those of a class `told`, COLUMN=VALUE.

        Raises DataError where one cannot be read, RecipeError of other models.
        """
        from penstock.recipes.reconstructing import Reconstructing

        return self._able(self.trained, Reconstructing, "reconstruct").reconstruct(_several(inputs) or [], told=told)

    def between(self, first: object, second: object, steps: int = 8) -> Made:
        """What lies between two inputs of an autoencoder, or two seeds of a generator; RecipeError of other models."""
        from penstock.recipes.making import Maker

        if steps < 2:
            raise RecipeError("steps", f"{steps} of them do not lead from one to the other", "give 2 or more")
        return self._able(self.trained, Maker, "interpolate").between(first, second, steps)

    def sample(
        self, count: int = 64, *, seed: int = 0, label: str | None = None, truncation: float | None = None
    ) -> Made:
        """What a generative model makes: `.array` has the numbers, `.write(path)` puts it on the disk.

        With a `truncation`, such as 0.7, codes come from the middle of their distribution: likelier, less varied.

        Raises RecipeError for a model that makes nothing, and for a class that it was not told of.
        """
        from penstock.recipes.making import Maker

        return self._able(self.trained, Maker, "sample").sample(count, seed=seed, label=label, truncation=truncation)

    def _able(self, thing: object, kind: type[T], verb: str) -> T:
        """The recipe or what was trained, as the kind that a verb is for."""
        if not isinstance(thing, kind):
            problem = f"a model for the task {self.recipe.task!r} cannot do that"
            raise RecipeError(verb, problem, f"use: {self.recipe.use.format(run=self.folder)}")
        return thing

    def evaluate(self, data: object = None) -> dict[str, float]:
        """The metrics on the test split, or on other labelled `data` (a path, a name, or an object).

        Of other data that bring a test split along, that is used, and else all rows.
        """
        found: dict[str, float] = self.findings(data)["metrics"]
        return found

    def findings(self, data: object = None, episodes: int | None = None) -> dict[str, Any]:
        """As `evaluate`, with the trivial baseline, what the report draws, and the worst mistakes.

        A policy plays as many `episodes` as the training's test, if not told otherwise; RecipeError of other models.
        """
        fingerprint = None if data is not None else read_json(self.folder / DATA).get("fingerprint")
        recipe = self.recipe if episodes is None else self.recipe.judged_by(episodes)
        return recipe.examine(self.trained, self._data, fingerprint, data)

    def against(self, lines: Iterable[str], say: Callable[[str], None], *, second: bool = False) -> None:
        """A board game against whoever gives `lines`, a move each; `second`: the model begins.

        Raises RecipeError of other models.
        """
        from penstock.recipes.board_player import BoardPlayer
        from penstock.recipes.board_talk import talk

        talk(self._able(self.trained, BoardPlayer, "play"), iter(lines), say, second=second)

    def play(self, *, episodes: int = 1, seed: int = 0, sampled: bool = False, letters: bool = False) -> Show:
        """Episodes of a policy to look at, step by step: `penstock play`.

        `sampled`: some of what is done is left to chance, as in training. `letters`: written, where the environment can
        write what it looks like. Raises RecipeError of other models, and where nothing is drawn.
        """
        from penstock.recipes.control import Control
        from penstock.recipes.playing import Playing
        from penstock.recipes.showing import show

        recipe, trained = self._able(self.recipe, Control, "play"), self._able(self.trained, Playing, "play")
        shown: Shown = "letters" if letters else "pixels"
        return show(recipe, trained, episodes=episodes, seed=seed, sampled=sampled, shown=shown)

    def report(self) -> Path:
        """Write the report page again; returns its path."""
        return build_report(self.folder)


def _several(inputs: object) -> list[object] | None:
    """One input or a list of them as a list; nothing stays nothing."""
    return inputs if inputs is None else list(inputs) if isinstance(inputs, list | tuple) else [inputs]


def load(
    path: str | Path, model: nn.Module | None = None, runs: str | Path = "runs", *, trust_env: bool = False
) -> Run:
    """Load a finished run by its path, or by its name in the folder `runs`.

    Files never name code: where the model was a module of your own, pass one like it, and it gets the weights; that of
    an environment of your own is run if you say `trust_env`. Raises RecipeError where there is no such run,
    CheckpointError where its files cannot be trusted.
    """
    return Run(find_run(path, Path(runs)), model, trust_env=trust_env)
