"""Self-play: a game for two, learned from nothing but its rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field

from penstock.core.errors import DataError, RecipeError
from penstock.core.ranks import ALONE, Ranks
from penstock.recipes.architectures import one_of
from penstock.recipes.recipe import Recipe
from penstock.recipes.selfplay_settings import (
    NETWORKS,
    JudgedSettings,
    PlaySettings,
    SearchSettings,
    SelfplayNet,
    SelfplayOptim,
)

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from penstock.core.objective import Evaluation
    from penstock.recipes.job import Job, Supplied
    from penstock.recipes.trained import Trained


class Selfplay(Recipe):
    """Learn a game for two by playing it against oneself."""

    task: ClassVar[str] = "selfplay"
    summary: ClassVar[str] = "learn a board game by playing it against oneself, every move after a search"
    example: ClassVar[str] = "penstock train selfplay --data connect-four"
    activity: ClassVar[str] = "self-play"
    headline: ClassVar[Sequence[str]] = ("return",)
    use: ClassVar[str] = "penstock play {run}"
    python_use: ClassVar[str] = 'run.predict("")'

    data: Annotated[
        str,
        Field(min_length=1, description="the game: tic-tac-toe, connect-four, or go-5: go on 5 by 5 points (2 to 19)"),
    ] = "tic-tac-toe"
    model: Annotated[str, Field(description=f"auto (cnn), {', '.join(NETWORKS)}"), AfterValidator(one_of(NETWORKS))] = (
        "auto"
    )
    positions: Annotated[
        int | None, Field(ge=1, le=10**12, description="moves of all games together; by the game if not given")
    ] = None
    batch_size: Annotated[
        int | None, Field(ge=1, le=10**9, description="positions a step; by the game if not given")
    ] = None
    monitor: Annotated[str, Field(description="the validation metric that chooses the best weights")] = "return"
    keep: Annotated[
        Literal["best", "last"], Field(description="which weights to end with: the best on validation, or the last")
    ] = "last"
    precision: Annotated[
        Literal["auto", "float32", "bf16", "fp16"], Field(description="of the layers as they learn")
    ] = "float32"
    search: SearchSettings = SearchSettings()
    play: PlaySettings = PlaySettings()
    net: SelfplayNet = SelfplayNet()
    optim: SelfplayOptim = SelfplayOptim()
    measure: JudgedSettings = JudgedSettings()

    @property
    def gathered(self) -> int:
        """Positions that are played before they are learned from, of a resolved recipe."""
        assert self.play.games is not None
        assert self.play.moves is not None
        return self.play.games * self.play.moves

    def build(self, supplied: Supplied, ranks: Ranks = ALONE) -> Job:
        """Make the game, the network and the opponents."""
        from penstock.core.random import derive, seed_all
        from penstock.engine.device import pick_device
        from penstock.recipes.board_player import BoardPlayer
        from penstock.recipes.board_rules import batches_of, game_of, make_objective, make_source, resolved
        from penstock.recipes.job import Job

        device = pick_device(self.device, ranks=ranks)
        for name in supplied.names():
            raise RecipeError(name, "an object is no game", "name a game: --data connect-four")
        game = game_of(self)
        recipe = resolved(self)
        seed_all(self.seed)
        objective = make_objective(recipe, game).to(device)
        source = make_source(recipe, game, objective, derive(self.seed, "training", ranks.rank), device)
        trained = BoardPlayer(objective, recipe)
        trained.check_monitor(self.monitor)
        counts = {"validation": self.measure.validation, "test": self.measure.test}
        rest = {part: trained.matches(count, part) for part, count in counts.items()}

        def judge(evaluation: Evaluation, split: str) -> dict[str, Any]:
            return trained.judged(evaluation, split, counts[split], self.precision)

        epoch = recipe.gathered
        steps = f", {round(recipe.steps / batches_of(recipe)) * epoch:,} positions" if recipe.steps else ""
        opponents = ", ".join(name.replace("_", "-") for name in objective.opponents)
        facts = {
            "name": game.name,
            "origin": game.name,
            "kind": "game",
            "noun": "positions an epoch",
            "examples": epoch,
            "splits": {"train": epoch},
            "notes": {
                "board": f"{game.height} x {game.width}, {game.actions} moves; {recipe.play.games} games at once",
                "learns": f"by {recipe.model}, {recipe.search.simulations} simulations a move{steps}",
                "judged": f"by {self.measure.validation} games against each of: {opponents}",
            },
            "suspicions": [],
            "fingerprint": str({"game": game.name, **game.settings()}),
            "supplied": [],
        }
        return Job(recipe, trained, source, rest, {"model": recipe.optim.build()}, facts, judge)

    def load(self, folder: Path, model: nn.Module | None = None) -> Trained:
        """See `BoardPlayer.load`."""
        from penstock.recipes.board_player import BoardPlayer

        return BoardPlayer.load(folder, self)

    def examine(self, trained: Trained, supplied: object, fingerprint: object, other: object) -> dict[str, Any]:
        """The games of the test again."""
        from penstock.recipes.board_player import BoardPlayer

        assert isinstance(trained, BoardPlayer)
        if other is not None:
            raise DataError(other, f"a player of {self.data} is judged at its own game", "leave --data out")
        found = trained.evaluate(trained.matches(self.measure.test, "test"), self.precision)
        return trained.judged(found, "test", self.measure.test, self.precision)

    def judged_by(self, episodes: int) -> Self:
        """The same recipe with so many games against each opponent."""
        return self.model_copy(update={"measure": self.measure.model_copy(update={"test": episodes})})
