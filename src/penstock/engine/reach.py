"""Which parameters the first update of a role reaches: looked at once, so that later steps pay nothing."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

MOST_NAMED = 5


class Reach:
    """Notes which of some named parameters get a gradient, until it is asked.

    A parameter without one counts as having the gradient zero, as with torch's `zero_grad(set_to_none=False)`: weight
    decay still shrinks it and momentum still carries it. (By default torch.optim leaves it alone. To find out in each
    step who got a gradient would cost a call for each parameter.)
    """

    def __init__(self, named: Mapping[str, nn.Parameter]) -> None:
        self._missed = {id(p): name for name, p in named.items()}
        self._hooks = [p.register_post_accumulate_grad_hook(self._note) for p in named.values()]  # type: ignore[no-untyped-call]

    def _note(self, parameter: Tensor) -> None:
        self._missed.pop(id(parameter), None)

    def leave(self) -> list[str]:
        """Stop looking on; the names of those that got no gradient."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        return list(self._missed.values())


def unreached(role: str, names: list[str], step: int) -> str:
    """One line on parameters that get no gradient."""
    listed = ", ".join(names[:MOST_NAMED])
    listed += f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    verb = "these parameters get" if len(names) > 1 else "this parameter gets"
    remedy = "use it in the loss, or freeze it with requires_grad_(False): weight decay shrinks it all the same"
    return f"step {step}: {verb} no gradient (role {role!r}): {listed}; {remedy}"
