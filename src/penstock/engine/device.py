"""Where to compute, and in which precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from penstock.core.errors import RecipeError
from penstock.core.ranks import ALONE, Ranks


def pick_device(name: str, *, fallback: bool = False, ranks: Ranks = ALONE) -> torch.device:
    """The device by name; `auto` is the first accelerator, else the processor. Of several ranks, each has its own GPU.

    Raises RecipeError for a device that does not exist or is not there; with `fallback` it is then `auto`, so that a
    model can be used on another machine than it was trained on.
    """
    if ranks.size > 1:
        name = _name_for(name, ranks)
    if name == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        return found if found is not None else torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        if fallback:
            return pick_device("auto")
        reason = str(error).splitlines()[0]
        raise RecipeError("device", f"{name!r} cannot be used ({reason})", "give auto, cpu, cuda or mps") from None
    return device


def _name_for(name: str, ranks: Ranks) -> str:
    """The device of this rank."""
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if name in ("auto", "cuda"):
        return f"cuda:{ranks.local_rank}"
    problem = f"{name!r} cannot be shared by {ranks.local_size} processes"
    raise RecipeError("device", problem, "give auto, cpu, or cuda for a GPU each")


def precision_of(name: str, device: torch.device) -> AbstractContextManager[object]:
    """A context in which layers compute in this precision: "float32", or "bf16" or "fp16" by autocast."""
    if name == "float32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if name == "bf16" else torch.float16)
