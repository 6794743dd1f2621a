"""Write the measured results into the README and the guide of `generate`, between their markers; draw their chart.

python benchmarks/render.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from generated import table as generated
from peers.cases import CASES
from peers.chart import chart
from peers.table import tables
from singles import table as singles

from penstock.metrics.names import higher_is_better
from penstock.run.report.markup import metric_name

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
RACE, CHART = RESULTS / "race.json", "docs/race.svg"
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
RACE_BEGIN, RACE_END = "<!-- race:begin -->", "<!-- race:end -->"
LANGUAGES = {"README.md": "en", "README.zh.md": "zh"}
GENERATE = {"docs/generate.md": "en", "docs/generate.zh.md": "zh"}
ORDER = (
    *("digits", "fashion-mlp", "fashion-cnn", "california", "adult", "python-topics", "python-roles"),
    *("shakespeare-gpt", "shakespeare-best", "spoken-digits", "morse", "tides"),
    *("vae-digits", "digits-left-out"),
)
"""In which order the tables have them; those that were never measured are left out."""
WORDS = {
    "README.md": {
        "quality": "| data and model | seeds | measured on the test split | wanted | published | seconds a training |",
        "speed": "| steps per second, float32 | engine | hand-written loop | ratio (median of pairs) |",
        "trains": "What was trained, with seeds from 0 on. With the default shift, which the fashion-mnist lines "
        "turn off, both fell short of what was wanted.",
        "from": "Measured on {machine}, {date}, with `{command}`; every seed's row is in `benchmarks/results`.",
    },
    "README.zh.md": {
        "quality": "| 数据与模型 | 种子数 | 测试集结果 | 目标 | 文献值 | 每次训练秒数 |",
        "speed": "| 每秒步数（float32） | 引擎 | 手写循环 | 比值（成对测量的中位数） |",
        "trains": "训练命令如下，种子从 0 开始。两条 fashion-mnist 命令关掉了默认的平移：开着它时两者都没有达到目标。",
        "from": "测量环境：{machine}，{date}，命令 `{command}`；每个种子的结果见 `benchmarks/results`。",
    },
}


def quality_row(result: dict[str, object]) -> str:
    """One line of the table of quality."""
    rows = result["rows"]
    assert isinstance(rows, list)
    values = [row[result["metric"]] for row in rows]
    metric = str(result["metric"])
    percent = metric == "accuracy"

    def shown(value: float) -> str:
        return f"{100 * value:.2f} %" if percent else f"{value:.4f}"

    spread = f"{shown(min(values))} – {shown(max(values))}"
    seconds = [row["training_seconds"] for row in rows]
    wanted = f"{100 * float(str(result['bar'])):.1f} %" if percent else f"{result['bar']}"
    bar = f"{'' if percent else metric_name(metric) + ' '}{'≥' if higher_is_better(metric) else '≤'} {wanted}"
    mean = shown(float(str(result["mean"])))
    cells = (
        result["case"],
        len(rows),
        f"**{mean}** ({spread})",
        bar,
        result["published"] or "–",
        f"{max(seconds):.0f}",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def section(words: dict[str, str]) -> str:
    """Both tables, and how they were made."""
    places = [RESULTS / f"quality-{name}.json" for name in ORDER]
    found = [json.loads(place.read_text()) for place in places if place.exists()]
    lines = [words["quality"], "| --- | --- | --- | --- | --- | --- |", *map(quality_row, found), ""]
    dates = sorted({result["date"] for result in found})
    machines = "; ".join(dict.fromkeys(result["machine"] for result in found))
    where = {"machine": machines, "date": dates[-1], "command": "python benchmarks/quality.py"}
    lines += [words["from"].format(**where), "", words["trains"], "", "```sh"]
    lines += [f"{result['trains'].partition(' --seed')[0]}" for result in found]
    lines += ["```", ""]
    speed = json.loads((RESULTS / "speed.json").read_text())
    lines += [words["speed"], "| --- | --- | --- | --- |"]
    lines += [
        f"| {name} | {row['engine_steps_per_second']} | {row['hand_written_steps_per_second']} | {row['ratio']:.2f} |"
        for name, row in speed["rows"].items()
    ]
    lines += ["", words["from"].format(**speed)]
    return "\n".join(lines)


def rendered(name: str) -> str:
    """The page as it should be."""
    text = (ROOT / name).read_text(encoding="utf-8")
    inside = f"{BEGIN}\n{section(WORDS[name])}\n\n{singles(RESULTS, LANGUAGES[name])}\n{END}"
    text = re.sub(f"{BEGIN}.*?{END}", lambda _: inside, text, flags=re.DOTALL)
    return re.sub(f"{RACE_BEGIN}.*?{RACE_END}", lambda _: raced(LANGUAGES[name]), text, flags=re.DOTALL)


def guide(name: str) -> str:
    """A page of `generate` as it should be."""
    text, inside = (ROOT / name).read_text(encoding="utf-8"), generated(RESULTS, GENERATE[name])
    return re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{inside}\n{END}", text, flags=re.DOTALL)


def races() -> dict[str, Any]:
    """What race.py measured, in the order of the cases; nothing where it has not run."""
    found = json.loads(RACE.read_text(encoding="utf-8"))["cases"] if RACE.exists() else {}
    return {name: found[name] for name in CASES if name in found}


def raced(language: str) -> str:
    """The tables beside the peers."""
    found = races()
    inside = f"\n{tables(found, language, CHART)}\n" if found else "\n"
    return f"{RACE_BEGIN}{inside}{RACE_END}"


if __name__ == "__main__":
    for page in WORDS:
        (ROOT / page).write_text(rendered(page), encoding="utf-8")
    for page in GENERATE:
        (ROOT / page).write_text(guide(page), encoding="utf-8")
    if races():
        (ROOT / CHART).write_text(chart(races()), encoding="utf-8")
