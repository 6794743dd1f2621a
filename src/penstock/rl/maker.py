"""Which environment of Gymnasium's kind to make, or game of PettingZoo's, in whichever process.

Nothing heavy is imported: workers run this.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, final

import gymnasium

from penstock.core.errors import RecipeError, suggest
from penstock.rl.parallel import named_game, parallel_game, parallel_kinds
from penstock.rl.single import Single
from penstock.rl.team import Team
from penstock.rl.unit import Unit

Made = tuple[Any, int | None]
"""An environment of Gymnasium's without a time limit, or a game of PettingZoo's; and the limit."""

_INSTALL = "install that; of Gymnasium's own: pip install 'penstock[environments,mujoco,atari]'"
_MODES = {"pixels": ("rgb_array",), "letters": ("ansi", "rgb_array")}
"""What Gymnasium calls the ways of showing, the first that an environment has."""


@final
@dataclass(frozen=True, kw_only=True)
class Maker:
    """Which environment to make: its `name` in Gymnasium's register, or a game of PettingZoo's, with its `options`.

    From a `module`, a Python file or what can be imported, `name` is a class in it, or what it registers; its code is
    run, so it must be trusted. `limit` replaces the number of steps after which an episode is cut off. What is `shown`
    can be watched: as "pixels", or as "letters", where it can be written. With `lives` one that
    is lost in a game of Atari's ends an episode.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    module: str | None = None
    limit: int | None = None
    shown: Literal["", "pixels", "letters"] = ""
    lives: bool = False

    def unit(self, number: int) -> Unit:
        """The environment, or the game, that is the `number`-th of many. Raises as `make`, and as `Unit` does."""
        env, limit = self.make()
        kind = Single if isinstance(env, gymnasium.Env) else Team
        return kind(env, limit, name=self.name, number=number)

    def make(self) -> Made:
        """The environment without a time limit, and the limit. Raises RecipeError where there is none of that name."""
        env, limit = self._made(self.options)
        if not self.shown:
            return env, limit
        modes = metadata_of(env).get("render_modes", ())
        mode = next((mode for mode in _MODES[self.shown] if mode in modes), None)
        env.close()
        if mode is None:
            problem = f"draws no picture (it has: {', '.join(map(str, modes)) or 'nothing'})"
            raise RecipeError(self.name, problem, 'let it know the render_mode "rgb_array"')
        return self._made({**self.options, "render_mode": mode})

    def _made(self, options: dict[str, Any]) -> Made:
        found = class_in(self.module, self.name, gymnasium.Env, *parallel_kinds()) if self.module else None
        try:
            if found is not None:
                return found(**options), self.limit
            if self.name.startswith("ALE/"):
                from penstock.rl.atari import Atari, register

                register()
                return Atari(self.name, lives=self.lives, **options), self.limit
            if self.module is None and named_game(self.name):
                return parallel_game(self.name, options), self.limit
            spec = gymnasium.spec(self.name)
            env = gymnasium.make(spec, max_episode_steps=-1, disable_env_checker=True, **options)
        except (gymnasium.error.Error, ModuleNotFoundError) as error:
            if isinstance(error, gymnasium.error.DependencyNotInstalled) or self.name in gymnasium.registry:
                raise RecipeError(self.name, f"needs more than is installed ({error})", _INSTALL) from error
            remedy = suggest(self.name, gymnasium.registry)
            raise RecipeError("env", f"there is no environment {self.name!r} ({error})", remedy) from error
        except TypeError as error:
            raise RecipeError(self.name, f"cannot be made ({error})", "give options that it has") from error
        return env, self.limit or spec.max_episode_steps


def metadata_of(env: Any) -> Mapping[str, Any]:
    """What an environment says of itself; PettingZoo's need not say anything."""
    found: Mapping[str, Any] = getattr(env, "metadata", {})
    return found


def imported(module: str) -> ModuleType:
    """A module by its file or its name, run once a process, and again when the file has changed.

    Raises RecipeError where it cannot be.
    """
    path, name = Path(module), module
    if path.suffix == ".py":
        if not path.is_file():
            raise RecipeError(module, "is no Python file", "give the file that defines the environment")
        digest = hashlib.blake2b(str(path.resolve()).encode() + path.read_bytes(), digest_size=8).hexdigest()
        name = f"penstock_user_{path.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    try:
        if path.suffix != ".py":
            return importlib.import_module(name)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        found = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
    except Exception as error:
        sys.modules.pop(name, None)
        raise RecipeError(module, f"cannot be run ({type(error).__name__}: {error})", "mend it") from error
    return found


def class_in(module: str, name: str, *kinds: type[Any]) -> type[Any] | None:
    """The class of these kinds that is called so in a module, or without a name the only one that is written there.

    None where the name is of nothing there: the module may have registered it. Raises RecipeError where it is not clear
    which is meant.
    """
    found = imported(module)
    if name:
        named = vars(found).get(name)
        return named if isinstance(named, type) and issubclass(named, kinds) else None
    every = [each for each in vars(found).values() if isinstance(each, type) and issubclass(each, kinds)]
    here = [each for each in every if each.__module__ == found.__name__]
    if len(here) != 1:
        names = ", ".join(each.__name__ for each in here) or "none"
        raise RecipeError(module, f"it defines {len(here)} environments ({names})", f"name one, as in {module}:Name")
    return here[0]
