"""A model that has learned a language: it writes on from where a text ends."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from penstock.core.errors import RecipeError, suggest
from penstock.data.layout import Layout
from penstock.decoding.sampling import Sampling, generate
from penstock.objectives.language import Language
from penstock.recipes.architectures import build_writer
from penstock.recipes.settings import NetSettings
from penstock.recipes.trained import Trained, configuration, load_weights, module_of

READ_AT_ONCE = 1024
"""Tokens that a model is evaluated on at once if what it remembers does not grow."""
_GROUP = 8  # tokens that may make one character together


class Writing(Trained):
    """Foretells tokens, and so writes. `context` is how many tokens it was trained to see at once."""

    objective: Language

    def __init__(
        self, objective: Language, layout: Layout, model: str | None, net: NetSettings, *, context: int
    ) -> None:
        super().__init__(objective, model)
        self.layout, self.net, self.context = layout, net, context

    def config(self) -> dict[str, Any]:
        """The sizes of the network, the vocabulary, and how a text begins and ends."""
        return {"net": self.net.model_dump(mode="json"), "context": self.context, "layout": self.layout.to_json()}

    @classmethod
    def load(cls, folder: Path, model: nn.Module | None, smoothing: float) -> Writing:
        """Read a model's folder back; see `Answering.load`."""
        with configuration(folder) as config:
            layout, net = Layout.from_json(config["layout"]), NetSettings.model_validate(config["net"])
            name, context = config["model"], int(config["context"])
            module = module_of(folder, model, name, lambda name: build_writer(name, layout.tokens.size, context, net))
        load_weights(folder, module)
        objective = Language(module, characters=layout.tokens.characters(), carry=False, smoothing=smoothing)
        return cls(objective.eval(), layout, name, net, context=context)

    @property
    def span(self) -> int:
        """How many tokens of a text that runs on it is evaluated on at once."""
        return self.context if grows(self.network) else max(self.context, READ_AT_ONCE)

    def predict(self, given: Sequence[object], *, batch_size: int = 256) -> list[dict[str, Any]]:
        """Refused: it writes."""
        raise RecipeError("predict", "a model of a language has no answers, it writes", "use: penstock sample RUN")

    def write(
        self,
        prompt: str = "",
        *,
        sampling: Sampling | None = None,
        seed: int = 0,
        length: int = 500,
        condition: Mapping[str, str] | None = None,
    ) -> Iterator[str]:
        """Up to `length` tokens after a prompt, piece by piece; a text that is an example by itself may end before.

        `condition` says what is known about the text; what is left out is made up. Raises RecipeError for a field that
        was not learned.
        """
        sampling, known, fields = sampling or Sampling(), dict(condition or {}), self.layout.fields
        for name in known:
            if name not in fields:
                remedy = suggest(name, fields) if fields else "train with --condition to have such"
                raise RecipeError("condition", f"it knows no {name!r} of a text", remedy)
        self.objective.eval()

        def guess(ids: list[int], stop: int) -> list[int]:
            return list(self._ids(ids, sampling, seed + stop, self.context // 2, stop))

        begin = self.layout.beginning(known, guess) + self.layout.tokens.encode(prompt)
        return self._spoken(begin, self._ids(begin, sampling, seed, length, self.layout.stop))

    def _ids(self, begin: Sequence[int], sampling: Sampling, seed: int, length: int, stop: int | None) -> Iterator[int]:
        """Token after token, up to `stop`."""
        sampling = Sampling(
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            never=sorted(self.layout.silent - {stop}),
        )
        model: Any = self.network
        context = self.context if grows(model) else None
        prompt = torch.tensor([list(begin)[-self.context :] if context else list(begin)], device=self.device)
        for drawn in generate(model, prompt, sampling, seed=seed, length=length, stop=stop, context=context):
            if (token := int(drawn)) == stop:
                return
            yield token

    def _spoken(self, begin: Sequence[int], ids: Iterator[int]) -> Iterator[str]:
        """Tokens as text; bytes are kept until they make a character."""
        decode = self.layout.tokens.decode
        before, held = list(begin[-1:]), list[int]()
        for token in ids:
            held.append(token)
            text = decode([*before, *held])
            if text.endswith("\ufffd") and len(held) < _GROUP:
                continue
            yield text[len(decode(before)) :]
            before, held = held, []
        if held:
            yield decode([*before, *held])[len(decode(before)) :]


def grows(model: Any) -> bool:
    """Whether what it remembers grows with every token, so that it has to be cut off at some length.

    Raises RecipeError for a module of the user's own that cannot read on from what it remembers.
    """
    for name in ("begin", "advance"):
        if not inspect.ismethod(getattr(model, name, None)):
            problem = f"a model of a language needs a method {name!r}"
            raise RecipeError(f"model {type(model).__name__}", problem, "see LanguageModel in the reference")
    device, training = next(model.parameters()).device, model.training
    model.eval()
    before = model.begin(1)
    with torch.no_grad():
        after = model.advance(torch.zeros(1, 1, dtype=torch.int64, device=device), before)[1]
    model.train(training)
    return [value.shape for value in before] != [value.shape for value in after]
