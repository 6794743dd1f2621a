"""Experience that is used a few times, right after it was gathered: a source for policy gradients.

T steps of N environments, T * N examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import RecipeError
from penstock.core.objective import Listening
from penstock.core.random import derive
from penstock.core.tensors import under
from penstock.rl.acting import ACTION, VALUE, Actor
from penstock.rl.environment import Environment, Step
from penstock.rl.returns import advantages

OBSERVATION, ADVANTAGE, RETURN = "observation", "advantage", "return"
_GATHERED, _FIELD, _WORLD = "gathered", "rollout.", "environment."


@final
class Rollouts(Listening):
    """Acts for `steps` steps, gives what it met `rounds` times over, each in `parts` batches, and acts again.

    A batch has "observation" (B, *shape), "action" (B,) or (B, A), whatever else the actor gave, such as "logprob" and
    "value" (B,), and "advantage" and "return" (B,): generalised advantage estimates, and these added to the values.
    Without a "value" all are worth 0. Raises RecipeError where there are more parts than examples.
    """

    def __init__(
        self,
        environment: Environment,
        actor: Actor,
        *,
        steps: int,
        rounds: int = 1,
        parts: int = 1,
        discount: float = 0.99,
        decay: float = 0.95,
        seed: int = 0,
    ) -> None:
        self.environment, self.actor = environment, actor
        self._steps, self._rounds, self._parts, self._seed = steps, rounds, parts, seed
        self._discount, self._decay = discount, decay
        if not 1 <= parts <= steps * environment.count:
            problem = f"{steps} steps of {environment.count} environments make no {parts} batches"
            raise RecipeError("rollouts", problem, "give more steps, or fewer parts")
        self._position, self._gathered = 0, 0
        self._fields: dict[str, Tensor] = {}
        self._seen: Tensor | None = None

    @property
    def epoch_steps(self) -> int:
        """Batches between acting and acting again."""
        return self._rounds * self._parts

    def __next__(self) -> Batch:
        number, within = divmod(self._position, self.epoch_steps)
        if self._gathered <= number:  # it is gathered once, however often the batch is drawn
            self._fields, self._gathered = self._gather(), number + 1
        turn, part = divmod(within, self._parts)
        size = self._steps * self.environment.count
        rows = torch.arange(size)
        if self._parts > 1:
            generator = torch.Generator().manual_seed(derive(self._seed, "order", number, turn))
            rows = torch.randperm(size, generator=generator).tensor_split(self._parts)[part]
        self._position += 1
        if self._parts == 1:
            return Batch(self._fields)
        return Batch({name: value[rows.to(value.device)] for name, value in self._fields.items()})

    def _gather(self) -> dict[str, Tensor]:
        """Act for `steps` steps: fields of (T * N, ...)."""
        if self._seen is None:
            self._seen = self.environment.reset(self._seed)
        seen, kept, steps, cut = self._seen, [], [], []
        with self.actor.awake() as ask:
            for t in range(self._steps):
                answer = ask(seen)
                step = self.environment.step(answer[ACTION])
                kept.append({OBSERVATION: seen, **answer})
                steps.append(step)
                if len(at := (step.truncated & ~step.terminated).nonzero()[:, 0]):
                    cut.append((t, at, step.final[at]))
                seen = step.observation
            self._seen = seen
            fields = {name: torch.stack([each[name] for each in kept]) for name in kept[0]}  # (T, N, ...)
            if VALUE in fields:
                last = ask(seen)[VALUE]
                next_value = torch.cat([fields[VALUE][1:], last.unsqueeze(0)])
                if cut:
                    worth = ask(torch.cat([final for _, _, final in cut]))[VALUE]
                    when = torch.cat([torch.full_like(at, t) for t, at, _ in cut])
                    next_value[when, torch.cat([at for _, at, _ in cut])] = worth
            else:
                next_value = torch.zeros(self._steps, self.environment.count, device=seen.device)
        return self._judged(fields, steps, next_value)

    def _judged(self, fields: dict[str, Tensor], steps: list[Step], next_value: Tensor) -> dict[str, Tensor]:
        reward, terminated, truncated = (
            torch.stack(column) for column in zip(*[(s.reward, s.terminated, s.truncated) for s in steps], strict=True)
        )
        value = fields[VALUE] if VALUE in fields else torch.zeros_like(reward)
        flags = {"discount": self._discount, "decay": self._decay}
        fields[ADVANTAGE] = advantages(reward, value, next_value, terminated, truncated, **flags)
        fields[RETURN] = fields[ADVANTAGE] + value
        return {name: field.flatten(0, 1) for name, field in fields.items()}

    def hear(self, said: Mapping[str, Tensor]) -> None:
        """Nothing that is said changes what is gathered."""

    def tensors(self) -> dict[str, Tensor]:
        """What was gathered last, and the environments."""
        if self._seen is None:
            return {}
        return {
            _GATHERED: torch.tensor(self._gathered),
            **{_FIELD + name: value for name, value in self._fields.items()},
            **{_WORLD + name: value for name, value in self.environment.state_dict().items()},
        }

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Put it back; with nothing, begin anew."""
        if not tensors:
            self._seen, self._gathered = None, 0
            return
        self._gathered = int(tensors[_GATHERED])
        fields = under(_FIELD, tensors)
        self._fields = {name: value.to(self.environment.device) for name, value in fields.items()}
        self._seen = self.environment.load_state_dict(under(_WORLD, tensors))

    def state_dict(self) -> dict[str, Any]:
        """The number of the next batch."""
        return {"position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a batch."""
        self._position = state["position"]
