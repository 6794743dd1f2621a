"""Penstock trains every classic family of deep network through one engine.

    run = penstock.train("classify", data="digits", epochs=20)
    run.evaluate()
    run.predict("picture.png")

Everything below is imported only when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.core.batch import Batch
    from penstock.core.errors import PenstockError
    from penstock.core.objective import Evaluation, Objective, Source, Update
    from penstock.core.ranks import Ranks
    from penstock.core.shared import rows
    from penstock.core.together import together
    from penstock.data.examples import InMemory
    from penstock.data.image_files import ImageFiles
    from penstock.data.sources import InOrder, Shuffled
    from penstock.engine.checkpoint import Checkpoints
    from penstock.engine.engine import Engine
    from penstock.engine.plan import Plan
    from penstock.engine.watcher import Watcher
    from penstock.objectives.supervised import Classification, Regression
    from penstock.optim.adam import Adam, AdamW
    from penstock.optim.adaptive import Adagrad, RMSprop
    from penstock.optim.schedules import Constant, Cosine, Linear, Piecewise
    from penstock.optim.sgd import SGD
    from penstock.run.python import resume, train
    from penstock.run.run import Run, load

__version__ = "0.1.0"

_HOMES = {
    "core.batch": ("Batch",),
    "core.errors": ("PenstockError",),
    "core.objective": ("Evaluation", "Objective", "Source", "Update"),
    "core.ranks": ("Ranks",),
    "core.shared": ("rows",),
    "core.together": ("together",),
    "data.examples": ("InMemory",),
    "data.image_files": ("ImageFiles",),
    "data.sources": ("InOrder", "Shuffled"),
    "engine.checkpoint": ("Checkpoints",),
    "engine.engine": ("Engine",),
    "engine.plan": ("Plan",),
    "engine.watcher": ("Watcher",),
    "objectives.supervised": ("Classification", "Regression"),
    "optim.adam": ("Adam", "AdamW"),
    "optim.adaptive": ("Adagrad", "RMSprop"),
    "optim.schedules": ("Constant", "Cosine", "Linear", "Piecewise"),
    "optim.sgd": ("SGD",),
    "run.python": ("resume", "train"),
    "run.run": ("Run", "load"),
}
_WHERE = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Batch",
    "Checkpoints",
    "Classification",
    "Constant",
    "Cosine",
    "Engine",
    "Evaluation",
    "ImageFiles",
    "InMemory",
    "InOrder",
    "Linear",
    "Objective",
    "PenstockError",
    "Piecewise",
    "Plan",
    "RMSprop",
    "Ranks",
    "Regression",
    "Run",
    "Shuffled",
    "Source",
    "Update",
    "Watcher",
    "__version__",
    "load",
    "resume",
    "rows",
    "together",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'penstock' has no attribute {name!r}")
    value = getattr(import_module(f"penstock.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
