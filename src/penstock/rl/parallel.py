"""Games of PettingZoo's, by name. Nothing heavy is imported: worker processes run this."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from typing import Any

from penstock.core.errors import RecipeError, suggest

PACKAGES = ("pettingzoo", "mpe2")
"""Those that are imported by name, and so are trusted."""
_INSTALL = "pip install 'penstock[multi-agent]'"


def named_game(name: str) -> bool:
    """Whether it is the name of such a game, as pettingzoo/sisl/pursuit_v5 or mpe2/simple_spread_v3 are."""
    return name.partition("/")[0] in PACKAGES


def parallel_game(name: str, options: dict[str, Any]) -> Any:
    """A game in which all agents act at once. Raises RecipeError where there is none, or where a library is missing."""
    package, *path = name.split("/")
    if importlib.util.find_spec(package) is None:
        raise RecipeError("env", f"{name} needs {package}", _INSTALL)
    try:
        above = importlib.import_module(package)
        for word in path:
            known = [module.name for module in pkgutil.iter_modules(getattr(above, "__path__", ()))]
            if word not in known:
                shown = [one for one in known if not one.startswith("_")]
                raise RecipeError("env", f"there is no game {name!r}", suggest(word, shown))
            above = importlib.import_module(f"{above.__name__}.{word}")
        if "parallel_env" not in vars(above):
            problem = "it is no game in which all act at once: there is no parallel_env"
            raise RecipeError(name, problem, "name another one, such as mpe2/simple_spread_v3")
        return vars(above)["parallel_env"](**options)
    except ImportError as error:
        more = f"{package}[{path[0]}]" if len(path) > 1 else package
        problem = f"needs more than is installed ({error})"
        raise RecipeError(name, problem, f"install that, for example by: pip install '{more}'") from error


def parallel_kinds() -> tuple[type[Any], ...]:
    """The class of which games of a user's own are; none where the library is not installed."""
    if importlib.util.find_spec("pettingzoo") is None:
        return ()
    from pettingzoo import ParallelEnv

    return (ParallelEnv,)
