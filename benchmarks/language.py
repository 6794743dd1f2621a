"""A small GPT on tinyshakespeare against a plain PyTorch loop, and whether quatrains keep their form.

    python benchmarks/language.py                     both
    python benchmarks/language.py gpt --pairs 3       a few pairs of blocks
    python benchmarks/language.py quatrains --minutes 1 --count 40

`gpt`: 4 layers, 4 heads, 128 wide, context 64, batch 12, no dropout: nanoGPT's setting for a CPU. The engine and the
loop take turns, a block of steps each, in one process; both start from the same weights and see the same batches, and
their losses after 20 steps must agree. The loop is what one writes first: fused attention, float32, torch's AdamW,
clipped gradients. `quatrains`: a whole `penstock train language`, then poems that follow from seeds 0, 1, ...

Each writes results/language-NAME.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import torch
from machine import processor
from torch import Tensor, nn
from torch.nn import functional as F

from penstock import AdamW, Engine, Plan, load
from penstock.core.machine import cores
from penstock.data.corpus import open_corpus
from penstock.data.streams import windows
from penstock.data.tokens import Tokenizer
from penstock.models.language import LanguageNet, transformer
from penstock.nn import attention
from penstock.objectives.language import Language

RESULTS = Path(__file__).parent / "results"
CONTEXT, BATCH, BLOCK, AGREE = 64, 12, 40, 20
QUATRAINS = "--data tang-quatrains --condition form --model lstm --net.width 512 --net.dropout 0.3"
QUATRAINS += " --batch-size 64 --optim.lr 3e-3"


def plain_loop(model: LanguageNet, tokens: Tensor) -> Iterator[Tensor]:
    """One step each time it is advanced."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    source = windows(tokens, CONTEXT, batch_size=BATCH, seed=0)
    while True:
        batch = next(source)["tokens"]
        scores = model(batch[:, :-1])
        loss = F.cross_entropy(scores.flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        yield loss.detach()


def engine_steps(model: LanguageNet, tokens: Tensor, characters: Tensor) -> Callable[[int], float]:
    """A function that lets the engine's own loop go on by so many steps; it gives the seconds."""
    objective = Language(model, characters=characters, carry=False)
    source = windows(tokens, CONTEXT, batch_size=BATCH, seed=0)
    plan = Plan(steps=10**9, device="cpu", log_every=50, clip_norm=1.0)
    engine = Engine(objective, source, plan, {"model": AdamW(lr=1e-3, weight_decay=0.0)})

    def go_on(steps: int) -> float:
        engine.clock.total = engine.clock.step + steps
        began = time.perf_counter()
        engine.run()
        return time.perf_counter() - began

    return go_on


def gpt(pairs: int) -> dict[str, object]:
    """Interleaved blocks of steps; medians."""
    corpus = open_corpus("tinyshakespeare")
    vocabulary = Tokenizer.train("characters", corpus.texts, 100)
    train, held = (torch.tensor(vocabulary.encode(text)) for text in corpus.texts)
    torch.manual_seed(0)
    model, twin = (transformer(outputs=vocabulary.size, context=CONTEXT, positions="learned") for _ in range(2))
    twin.load_state_dict(model.state_dict())
    engine, plain = engine_steps(model, train, vocabulary.characters()), plain_loop(twin, train)

    def by_hand(steps: int) -> float:
        short, attention.SHORT = attention.SHORT, 0  # the fused kernel, which a plain model calls
        began = time.perf_counter()
        for _ in range(steps):
            next(plain)
        seconds = time.perf_counter() - began
        attention.SHORT = short
        return seconds

    def loss(net: LanguageNet) -> float:
        pieces = held[: 200 * CONTEXT + 1].unfold(0, CONTEXT + 1, CONTEXT)
        with torch.no_grad():
            found = F.cross_entropy(net.eval()(pieces[:, :-1]).flatten(0, 1), pieces[:, 1:].flatten())
        net.train()
        return float(found)

    engine(AGREE), by_hand(AGREE)
    first = loss(model), loss(twin)
    assert abs(first[0] - first[1]) < 0.02, f"the two loops differ: losses {first}"
    found = [(engine(BLOCK), by_hand(BLOCK)) for _ in range(pairs)]
    tokens = BLOCK * BATCH * CONTEXT
    return {
        "engine_tokens_per_second": round(tokens / statistics.median(a for a, _ in found)),
        "plain_tokens_per_second": round(tokens / statistics.median(b for _, b in found)),
        "ratio": round(statistics.median(b / a for a, b in found), 3),
        "bar": 2.0,
        "engine_loss": round(loss(model), 4),
        "plain_loss": round(loss(twin), 4),
        "pairs": [[round(a, 3), round(b, 3)] for a, b in found],
    }


def form(poem: str) -> bool:
    """Whether it has four lines, all of five or all of seven characters."""
    lines = [line for line in re.split(r"[，。？！；]", poem.strip()) if line]
    return len(lines) == 4 and len({len(line) for line in lines}) == 1 and len(lines[0]) in (5, 7)


def quatrains(minutes: float, count: int) -> dict[str, object]:
    """Train, write, and count those that keep their form."""
    with tempfile.TemporaryDirectory() as runs:
        words = ["train", "language", *QUATRAINS.split(), "--minutes", str(minutes), "--runs", runs, "--name", "q"]
        subprocess.run([sys.executable, "-m", "penstock", *words], check=True, capture_output=True)
        run = load(Path(runs) / "language" / "q")
        metrics = run.evaluate()
        poems = ["".join(run.write(seed=seed, temperature=0.8)) for seed in range(count)]
    known = set(open_corpus("tang-quatrains").texts)
    kept = [poem for poem in poems if form(poem)]
    return {
        "trains": f"penstock train language {QUATRAINS} --minutes {minutes:g}",
        "metrics": metrics,
        "poems": count,
        "share_that_keeps_form": round(len(kept) / count, 4),
        "bar": 0.95,
        "lengths": dict(Counter(len(re.split("[，。]", poem)[0]) for poem in kept)),
        "copied_from_the_collection": sum(poem in known for poem in poems),
        "examples": poems[:8],
    }


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=["gpt", "quatrains"])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--count", type=int, default=500)
    given = parser.parse_args()
    torch.set_num_threads(cores())
    cases: dict[str, Callable[[], dict[str, object]]] = {
        "gpt": lambda: gpt(given.pairs),
        "quatrains": lambda: quatrains(given.minutes, given.count),
    }
    for name in given.cases:
        result = {
            "command": f"python benchmarks/language.py {name}",
            "machine": f"{platform.machine()}, {processor()}, {cores()} cores, torch {torch.__version__}",
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            **cases[name](),
        }
        (RESULTS / f"language-{name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        print(json.dumps(result, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
