"""Language: what comes next?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field

from penstock.core.errors import DataError, RecipeError
from penstock.core.ranks import ALONE, Ranks
from penstock.recipes.architectures import WRITERS, build_writer, one_of
from penstock.recipes.recipe import Recipe, Where
from penstock.recipes.settings import NetSettings, OptimSettings
from penstock.recipes.text_settings import CorpusSettings, PartSettings, TokenSettings, names

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import nn

    from penstock.core.objective import Evaluation
    from penstock.data.corpus import Corpus
    from penstock.data.layout import Layout
    from penstock.data.ragged import Stored
    from penstock.data.sources import InOrder
    from penstock.data.tokens import Tokenizer
    from penstock.recipes.job import Job, Supplied
    from penstock.recipes.trained import Trained
    from penstock.recipes.writing import Writing

TOKENS_SEEN = 6_000_000
"""How many tokens are gone through where the number of epochs is not given, within 1 to 40 epochs."""
LEAST_STEPS = 400
TOKENS_A_BATCH = 4096
USUAL_CONTEXT = 128
LEAST_BETWEEN = 20
"""Steps between two evaluations, at least."""
MUCH_UNKNOWN = 0.01
"""Share of unknown tokens that is worth a remark."""
LONGEST = 1024
"""Tokens of an example by itself, where the context is not given."""


class Language(Recipe):
    """Learn a language from text, and write."""

    task: ClassVar[str] = "language"
    summary: ClassVar[str] = "learn from text what comes next, and write"
    example: ClassVar[str] = "penstock train language --data poems.txt --model lstm --epochs 10"
    activity: ClassVar[str] = "language modelling"
    headline: ClassVar[Sequence[str]] = ("bits_per_character",)
    use: ClassVar[str] = "penstock sample {run}"
    python_use: ClassVar[str] = 'print("".join(run.write("PROMPT")))'

    data: Where = "pydoc"
    model: Annotated[
        str,
        Field(description=f"auto (lstm on a processor, transformer on a graphics card), {', '.join(WRITERS)}"),
        AfterValidator(one_of(WRITERS)),
    ] = "auto"
    context: Annotated[
        int | None,
        Field(ge=1, le=1 << 20, description="tokens seen at once in training; by the data if not given"),
    ] = None
    batch_size: Annotated[
        int | None, Field(ge=1, le=10**6, description="pieces or texts a step; by the context if not given")
    ] = None
    drop_last: Annotated[bool, Field(description="leave out the last batch of an epoch where it is smaller")] = False
    condition: Annotated[
        list[str],
        BeforeValidator(names),
        Field(description="columns that say what kind of text it is, so that such a text can be asked for"),
    ] = Field(default_factory=list)
    prompt: Annotated[str, Field(description="how the samples begin that are shown during training")] = ""
    smoothing: Annotated[float, Field(ge=0, lt=1, description="label smoothing")] = 0.0
    clip_norm: Annotated[float | None, Field(gt=0, description="scale gradients down to this norm; none: do not")] = 1.0
    tokens: TokenSettings = TokenSettings()
    text: CorpusSettings = CorpusSettings()
    net: NetSettings = NetSettings()
    optim: OptimSettings = OptimSettings()
    split: PartSettings = PartSettings()

    def build(self, supplied: Supplied, ranks: Ranks = ALONE) -> Job:
        """Read and divide the text, learn the vocabulary, make model, objective and sources."""
        from penstock.core.random import seed_all
        from penstock.data.layout import Layout
        from penstock.data.streams import held_out, training
        from penstock.engine.device import pick_device
        from penstock.objectives.language import Language as Objective
        from penstock.recipes.job import Job
        from penstock.recipes.passages import counts_of, judged
        from penstock.recipes.samples import SampleFile
        from penstock.recipes.writing import Writing, grows

        device = pick_device(self.device, ranks=ranks)
        if supplied.model is not None and self.model != "auto":
            raise RecipeError("model", "both a name and a module were given", "give one of them")
        corpus = self.read(supplied.data)
        parts = self.divide(corpus)
        chosen = self.tokens.resolved(sum(map(len, parts["train"].texts)))
        tokens = self._vocabulary(parts["train"], chosen)
        layout = Layout(tokens, apart=not corpus.runs_on, several=len(parts["train"].texts) > 1, fields=self.condition)
        encoded = {part: layout.encoded(found) for part, found in parts.items()}
        recipe = self._resolved(chosen, encoded, supplied, device.type)
        assert recipe.context is not None
        assert recipe.batch_size is not None
        _refuse_long(parts, encoded, recipe.context)
        seed_all(self.seed)
        model = supplied.model or build_writer(recipe.model, tokens.size, recipe.context, recipe.net)
        carry = corpus.runs_on and not grows(model)
        objective = Objective(model.to(device), characters=tokens.characters(), carry=carry, smoothing=self.smoothing)
        name = None if supplied.model is not None else recipe.model
        trained = Writing(objective, layout, name, recipe.net, context=recipe.context)
        there = {part: stored.to(device) for part, stored in encoded.items()}
        source = training(
            there["train"],
            recipe.context,
            batch_size=recipe.batch_size,
            seed=self.seed,
            carry=carry,
            drop_last=self.drop_last,
            ranks=ranks,
        )
        rest = {part: held_out(there[part], trained.span) for part in ("validation", "test")}
        _check(trained, rest["validation"], self.monitor)
        counts = counts_of(encoded["train"], tokens.size)

        def judge(evaluation: Evaluation, split: str) -> dict[str, Any]:
            return judged(trained, evaluation, split, encoded[split], counts, self.prompt)

        facts = _facts(corpus, layout, encoded) | {
            "fingerprint": f"{corpus.fingerprint()}-{tokens.digest()}",
            "supplied": supplied.names(),
        }
        return Job(
            recipe,
            trained,
            source,
            rest,
            {"model": self.optim.build()},
            facts,
            judge,
            watchers=lambda folder: [SampleFile(folder, trained, self.prompt)],
        )

    def read(self, supplied: object = None) -> Corpus:
        """The text that `data` names, or the object given in its place."""
        from penstock.data.corpus import open_corpus
        from penstock.data.opened import ReadOptions

        corpus = open_corpus(
            self.data,
            reading=ReadOptions(encoding=self.text.encoding),
            column=self.text.column,
            fields=self.condition,
            unit=self.text.unit,
            most=round(self.text.memory * 2**30),
            supplied=supplied,
        )
        if self.condition and corpus.runs_on:
            problem = "a text that runs on is of no kind in particular"
            raise RecipeError("condition", problem, "give --text.unit texts, or leave it out")
        return corpus

    def divide(self, corpus: Corpus) -> dict[str, Corpus]:
        """The parts that the data bring along, or what follows from the seed."""
        from penstock.data.corpus import divided

        return divided(corpus, seed=self.seed, validation=self.split.validation, test=self.split.test)

    def load(self, folder: Path, model: nn.Module | None = None) -> Trained:
        """See `Writing.load`."""
        from penstock.recipes.writing import Writing

        return Writing.load(folder, model, self.smoothing)

    def examine(self, trained: Trained, supplied: object, fingerprint: object, other: object) -> dict[str, Any]:
        """Of other text, all is used."""
        from penstock.data.streams import held_out
        from penstock.recipes.passages import counts_of, judged
        from penstock.recipes.writing import Writing

        assert isinstance(trained, Writing)
        layout = trained.layout
        if other is None:
            corpus = self.read(supplied)
            if fingerprint != f"{corpus.fingerprint()}-{layout.tokens.digest()}":
                raise DataError(corpus.origin, "the data have changed since this run", "restore them, or give --data")
            parts = self.divide(corpus)
            split, found, train = "test", parts["test"], parts["train"]
        else:
            named = {"data": str(other)} if not isinstance(other, list) else {}
            corpus = self.model_copy(update=named).read(None if named else other)
            split, found, train = "all text", corpus, corpus
        stored = layout.encoded(found)
        _refuse_long({split: found}, {split: stored}, trained.context)
        evaluation = trained.evaluate(held_out(stored.to(trained.device), trained.span), self.precision)
        counts = counts_of(layout.encoded(train), layout.tokens.size)
        return judged(trained, evaluation, split, stored, counts, self.prompt)

    def _vocabulary(self, train: Corpus, chosen: TokenSettings) -> Tokenizer:
        """Learned from the training text, and from what is known about it."""
        from penstock.data.layout import special_for
        from penstock.data.tokens import Tokenizer

        known = (value for values in train.fields.values() for value in values)
        assert chosen.size is not None
        assert chosen.kind != "auto"
        return Tokenizer.train(chosen.kind, [*train.texts, *known], chosen.size, special_for(self.condition))

    def _resolved(self, tokens: TokenSettings, encoded: Mapping[str, Stored], supplied: Supplied, device: str) -> Self:
        """The same recipe with what was left open decided by rule, so that its record says all."""
        from penstock.data.layout import tokens_in
        from penstock.data.ragged import Ragged

        train, count = encoded["train"], len(tokens_in(encoded["train"]))
        longest = USUAL_CONTEXT
        if isinstance(train, Ragged):
            found = [int(part.lengths.max()) for part in encoded.values() if isinstance(part, Ragged)]
            longest = min(max(found), LONGEST)
        context = self.context or longest
        batch = self.batch_size or min(max(TOKENS_A_BATCH // context, 8), 64)
        examples = len(train) if isinstance(train, Ragged) else max(count // context, 1)
        steps = -(-examples // batch)
        choices: dict[str, Any] = {"tokens": tokens, "context": context, "batch_size": batch}
        choices["optim"] = self.optim.resolved()
        if self.model == "auto" and supplied.model is None:
            choices["model"] = "lstm" if device == "cpu" else "transformer"  # measured on two cores
        whole = self.epochs
        if self.epochs is None and self.steps is None and self.minutes is None:
            whole = max(min(max(TOKENS_SEEN / count, 1.0), 40.0), LEAST_STEPS / steps)
            choices["epochs"] = float(round(whole, 2))
        whole = min(whole or 1e9, self.steps / steps if self.steps else 1e9)
        if "evaluate_every" not in self.model_fields_set and whole < 10:
            choices["evaluate_every"] = max(whole / 10, LEAST_BETWEEN / steps)
        return self.model_copy(update=choices)


def _refuse_long(parts: Mapping[str, Corpus], encoded: Mapping[str, Stored], context: int) -> None:
    """Raises DataError for a text by itself that is longer than what is seen at once."""
    from penstock.data.ragged import Ragged

    for part, stored in encoded.items():
        if isinstance(stored, Ragged) and (longest := int(stored.lengths.max())) > context:
            place = parts[part].places[int(stored.lengths.argmax())]
            problem = f"this text has {longest:,} tokens, and {context:,} are seen at once"
            raise DataError(place, problem, "raise --context, or let the texts run on with --text.unit running")


def _check(trained: Writing, source: InOrder, monitor: str) -> None:
    """Try the model on one piece. Raises RecipeError where it does not foretell tokens, or `monitor` is no metric."""
    from penstock.data.sources import InOrder
    from penstock.recipes.trained import check_measured

    few = InOrder(source.examples, source.indices[:2], batch_size=2, transform=source.transform)
    batch = next(iter(few)).to(trained.device)
    try:
        check_measured(trained.objective, batch, monitor)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        reason = str(error).strip().splitlines()[0]
        problem = f"it cannot foretell tokens {tuple(batch['tokens'].shape)} of {trained.layout.tokens.size} ({reason})"
        raise RecipeError(f"model {trained.architecture}", problem, "make it give a score for every token") from error


def _facts(corpus: Corpus, layout: Layout, encoded: Mapping[str, Stored]) -> dict[str, Any]:
    """What was understood."""
    from penstock.data.layout import tokens_in
    from penstock.data.tokens import UNK

    tokens = layout.tokens
    sizes = {part: len(tokens_in(stored)) for part, stored in encoded.items()}
    unknown = {part: float((tokens_in(stored) == UNK).double().mean()) for part, stored in encoded.items()}
    said = [
        f"{100 * share:.1f} % of the tokens for {part} are unknown: --tokens.kind bpe knows everything"
        for part, share in unknown.items()
        if share > MUCH_UNKNOWN
    ]
    how = "one text that runs on" if corpus.runs_on else "examples by themselves"
    texts = f"{len(corpus.texts):,} text{'s' if len(corpus.texts) > 1 else ''}, {how}"
    return {
        "name": corpus.name,
        "origin": corpus.origin,
        "kind": "text",
        "noun": "tokens",
        "examples": sum(sizes.values()),
        "splits": sizes,
        "text": {"detail": texts, "tokens": tokens.kind, "vocabulary": tokens.size},
        "suspicions": said,
    }
