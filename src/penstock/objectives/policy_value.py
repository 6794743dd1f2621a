"""Learning from a search: what it looked into, and how the game ended. B positions or games, A actions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from penstock.core.batch import Batch
from penstock.core.errors import DataError
from penstock.core.objective import Evaluation, Objective, Update
from penstock.core.shared import rows
from penstock.models.policy_value import PolicyValue

NOTES = ("policy_loss", "value_loss", "entropy")
JUDGED = ("opponent", "first", "result", "length", "policy_loss", "value_loss")
"""What is told of each game that judges a player."""


@final
class PolicyAndValue(Objective):
    """The `model` learns to foretell what a search that it guides will find: AlphaZero.

    The loss is the cross-entropy of its policy against the shares of the search's visits, and `value_weight` times the
    squared error of its value against the outcome (Silver et al. 2017, "Mastering the game of Go without human
    knowledge", equation 1; what holds weights down there is the optimizer's decay here). A batch has "observation"
    (B, C, H, W), "policy" (B, A) and "outcome" (B,), from -1 to 1. It is judged by games against `opponents`, by name.
    Noted are both parts of the loss and the entropy of the policy.
    """

    def __init__(self, model: PolicyValue, *, opponents: Sequence[str] = (), value_weight: float = 1.0) -> None:
        super().__init__()
        self.model, self.opponents, self.value_weight = model, opponents, value_weight
        self.register_buffer("last_notes", torch.zeros(len(NOTES)))  # in checkpoints: a resumed log is the same

    def tell(self, observation: Tensor) -> dict[str, Tensor]:
        """The "logits" (B, A) of the actions, and the "value" (B,) that is expected."""
        logits, value = self.model(observation)
        return {"logits": logits, "value": value}

    def loss(self, batch: Batch) -> Update:
        """Means over the positions."""
        logits, value = self.model(batch["observation"])
        policy_loss = functional.cross_entropy(logits, batch["policy"])
        value_loss = (value - batch["outcome"]).square().mean()
        with torch.no_grad():
            logprobs = logits.log_softmax(1)
            entropy = -(logprobs.exp() * logprobs).sum(1).mean()
            self.get_buffer("last_notes").copy_(torch.stack([policy_loss, value_loss, entropy]))
        return Update(policy_loss + self.value_weight * value_loss, weight=batch.size)

    def noted(self) -> dict[str, float]:
        """Of the last batch."""
        return dict(zip(NOTES, self.get_buffer("last_notes").tolist(), strict=True))

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        """Of played games: means, and the shares won, drawn and lost against each opponent.

        Fields are the number of the "opponent", whether one was "first", the "result" (1, 0 or -1), the "length" in
        moves, and both parts of the loss where the model was asked, (B,) each; they are the records. Raises DataError
        where no game was played.
        """
        found = rows(source, lambda batch: tuple(batch[name] for name in JUDGED))
        if not found:
            raise DataError("evaluation", "no game was played", "play at least one")
        records = {name: torch.cat(parts).double().cpu() for name, *parts in zip(JUDGED, *found, strict=True)}
        result = records["result"]
        policy_loss, value_loss = (float(records[name].mean()) for name in ("policy_loss", "value_loss"))
        metrics = {"return": float(result.mean()), "episode_length": float(records["length"].mean())}
        for number, name in enumerate(self.opponents):
            games = result[records["opponent"] == number]
            if len(games):
                for words, sign in (("wins", 1), ("draws", 0), ("losses", -1)):
                    metrics[f"{words}_{name}"] = float((games == sign).double().mean())
        metrics |= {"policy_loss": policy_loss, "value_loss": value_loss}
        metrics["loss"] = policy_loss + self.value_weight * value_loss
        return Evaluation(metrics, records)
