"""The losses of the first ten steps of every recipe and default model, written down so that a change of any is seen.

    python tests/golden/make.py             all of them, with how far each is from what was written before
    python tests/golden/make.py classify    some of them

Float32, one thread, seed 0, on the processor, not compiled, channels first. `tests/test_golden.py` compares. A change
that is meant to change numbers writes them anew, and says so in its commit; one that is not must leave these files
alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from sklearn.datasets import load_digits

from penstock.cli.flags import parse_flags
from penstock.engine.watcher import Row, Watcher
from penstock.recipes.job import Supplied
from penstock.recipes.recipe import TASKS, recipe_type
from penstock.run.execute import make_engine

FOLDER = Path(__file__).parent
SAME = (
    "--steps 10 --log-every 1 --device cpu --precision float32 --threads 1 --compile off --onednn off"
    " --no-channels-last --seed 0"
)
PICTURES = "pictures.npz"
"""Handwritten digits with a number to predict, how dark each is."""
SENTENCES, TEXTS = "sentences.conll", "texts.csv"
"""The names of those digits, ten a sentence: is each greater than the one before it? And is their sum great?"""

CASES = {task: [task] for task in TASKS} | {
    # Without dropout: its random numbers differ between processors.
    "classify": ["classify", *["--net.dropout", "0"]],
    "classify-mlp": ["classify", *["--data", "wine", "--net.dropout", "0"]],
    "classify-resnet": ["classify", *["--model", "resnet20"]],
    "regress": ["regress", *["--net.dropout", "0"]],
    # By values, not by a policy: its loss is nothing but rounding before it has changed.
    "control": ["control", *["--algorithm", "dqn"]],
    # One look a move, which noise decides: where two moves are as good, rounding would choose between games.
    "selfplay": ["selfplay", *["--search.simulations", "1"]],
    "translate": ["translate", *["--net.dropout", "0"]],
    "transcribe": ["transcribe", *["--net.dropout", "0"]],
    "tag": ["tag", *f"--data {SENTENCES} --net.dropout 0".split()],
    "classify-bag": ["classify", *f"--data {TEXTS} --target much --net.dropout 0".split()],
    "language": ["language", *f"--data {TEXTS} --text.column text --text.unit running --net.dropout 0".split()],
    "language-transformer": [
        "language",
        *f"--data {TEXTS} --text.column text --model transformer --context 99 --net.dropout 0".split(),
    ],
    "regress-cnn": ["regress", *f"--data {PICTURES} --net.dropout 0".split()],
    "regress-resnet": ["regress", *f"--data {PICTURES} --model resnet20".split()],
}
"""The words of each case. Every task has one of its own name; it is its default unless something else is said here."""

UNSTEADY = {"classify-resnet", "regress-cnn", "regress-resnet", "selfplay"}
"""Where rounding soon grows: Adam's first steps have the size of the rate however small a gradient is, so that a weight
with next to none goes up or down by chance, and losses of ten steps differ by up to 2e-3 between instruction sets."""


class _Losses(Watcher):
    def __init__(self) -> None:
        self.found: list[float] = []

    def measured(self, row: Row) -> None:
        if row["split"] == "train":
            self.found += [value for name, value in row.items() if name.endswith("loss")]


def losses(words: Sequence[str], folder: Path) -> list[float]:
    """What a command line's first ten steps lose; each role's in turn. `folder` takes what the case needs."""
    digits = load_digits()
    np.savez(folder / PICTURES, x=(digits.images * 15).astype(np.uint8), y=digits.images.mean((1, 2)))
    _write_sentences(folder, [_NAMES[digit] for digit in digits.target])
    task, *flags = [str(folder / word) if word in (PICTURES, SENTENCES, TEXTS) else word for word in words]
    recipe = recipe_type(task)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        engine = make_engine(recipe.parse(parse_flags(recipe, [*flags, *SAME.split()])).build(Supplied()))
        watcher = _Losses()
        engine.watchers = [watcher]
        engine.run()
    finally:
        torch.set_num_threads(threads)
    return watcher.found


_NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def _write_sentences(folder: Path, words: Sequence[str]) -> None:
    sentences = [words[at : at + 10] for at in range(0, len(words) - 10, 10)]
    ranks = {name: rank for rank, name in enumerate(_NAMES)}
    blocks, rows = [], ["text,much"]
    for sentence in sentences:
        greater = [ranks[word] > ranks[before] for before, word in zip(["nine", *sentence], sentence, strict=False)]
        blocks.append("".join(f"{word} {'up' if up else 'O'}\n" for word, up in zip(sentence, greater, strict=True)))
        rows.append(f"{' '.join(sentence)},{'yes' if sum(map(ranks.__getitem__, sentence)) > 45 else 'no'}")
    (folder / SENTENCES).write_text("\n".join(blocks), encoding="utf-8")
    (folder / TEXTS).write_text("\n".join(rows) + "\n", encoding="utf-8")


def path_of(name: str) -> Path:
    """Where the losses of a case are written down."""
    return FOLDER / f"{name}.json"


def main(names: Sequence[str]) -> None:
    """Write the losses of these cases, of all if none is named."""
    for name in names or CASES:
        with TemporaryDirectory() as folder:
            found = losses(CASES[name], Path(folder))
        path = path_of(name)
        before = json.loads(path.read_text())["losses"] if path.exists() else []
        apart = max((abs(a / b - 1) for a, b in zip(found, before)), default=float("nan"))
        rounded = [float(f"{value:.8g}") for value in found]
        path.write_text(json.dumps({"words": " ".join(CASES[name]), "losses": rounded}, indent=1) + "\n")
        print(f"{name}: {found[0]:.4g} to {found[-1]:.4g}, at most {apart:.1e} from before")


if __name__ == "__main__":
    main(sys.argv[1:])
