"""Actions that are brought within their bounds."""

from __future__ import annotations

from typing import final

from torch import Tensor

from penstock.core.errors import RecipeError
from penstock.rl.environment import Environment, Step
from penstock.rl.spaces import Box
from penstock.rl.wrapper import Wrapper


@final
class BoundedActions(Wrapper):
    """Does the nearest that is allowed: normal policies know no bounds. Raises RecipeError where actions have none.

    What is kept of an action, and judged, is what the policy chose.
    """

    def __init__(self, inner: Environment) -> None:
        super().__init__(inner)
        if not isinstance(inner.action, Box):
            raise RecipeError("BoundedActions", f"actions are {inner.action}", "use it for actions of numbers")
        self._low, self._high = inner.action.bounds(inner.device)

    def step(self, action: Tensor) -> Step:
        return self.inner.step(action.clamp(self._low, self._high))
