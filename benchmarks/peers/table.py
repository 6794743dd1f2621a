"""The races as tables for the pages, in two languages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from peers.verdict import said

WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "heading": "### Beside its peers",
        "intro": "Each library as its own introduction configures it, less logging, checkpoints and validation; the "
        "same network and initial weights, data, batch size and optimizer (Adam, rate 1e-3); each in a process of "
        "its own, by turns, with as many threads as it takes by itself. Medians over the rounds; every round is in "
        "`benchmarks/results/race.json`. That all do the same is checked: ≠ marks a loss that is not the others'.",
        "chart": "Bars for all tables below",
        "speed": "| {case} | samples a second | × {reference} | warm-up s: first, later | final loss |",
        "whole": "| {case} | seconds | above {reference} | final loss |",
        "steps": "Data: {data}; {steps:,} steps after the warm-up.",
        "all_steps": "Data: {data}; {steps:,} steps.",
        "bars": "Wanted and found: {bars}.",
        "from": "Measured on {processor} ({machine}), {date}, with `{command}`, {rounds} rounds: {versions}.",
        "stop": "; ",
    },
    "zh": {
        "heading": "### 与同类工具比较",
        "intro": "各工具按其入门文档配置，去掉日志、检查点和验证；网络、初始权重、数据、批大小和优化器"
        "（Adam，学习率 1e-3）都相同；"
        "每次训练单独一个进程，轮流进行，线程数由各工具自己决定。表中是各轮的中位数，每一轮的数字见 "
        "`benchmarks/results/race.json`。是否做了同样的事有检查：损失与别人不符的会标上 ≠。",
        "chart": "下面各表的条形图",
        "speed": "| {case} | 每秒样本数 | 相对 {reference} 的倍数 | 预热秒数：首次，之后 | 最终损失 |",
        "whole": "| {case} | 秒数 | 比 {reference} 多 | 最终损失 |",
        "steps": "数据：{data}；预热之后 {steps:,} 步。",
        "all_steps": "数据：{data}；{steps:,} 步。",
        "bars": "目标与结果：{bars}。",
        "from": "测量环境：{processor}（{machine}），{date}，命令 `{command}`，{rounds} 轮：{versions}。",
        "stop": "；",
    },
}
PRECISION = 3


def tables(cases: Mapping[str, Mapping[str, Any]], language: str, chart: str) -> str:
    """All cases, with the chart at `chart` before them, and where and with what they were measured."""
    words = WORDS[language]
    lines = [words["heading"], "", words["intro"], "", f"![{words['chart']}]({chart})", ""]
    origins: list[str] = []
    for result in cases.values():
        lines += [*_table(result, words), ""]
        origin = result["origin"]
        versions = ", ".join(f"{name} {number}" for name, number in origin["versions"].items())
        line = words["from"].format(**origin | {"versions": versions})
        origins += [line] if line not in origins else []
    return "\n".join(lines + origins)


def _table(result: Mapping[str, Any], words: Mapping[str, str]) -> Iterator[str]:
    rows = result["rows"]
    base = rows[result["base"]]["label"] if result["base"] else "–"
    head = words["whole" if result["whole"] else "speed"]
    yield head.format(case=result["title"], reference=base)
    yield "| --- | --: | --: | --: |" + ("" if result["whole"] else " --: |")
    for row in sorted(rows.values(), key=lambda row: row.get("seconds", float("inf"))):
        cells = _whole_cells(row) if result["whole"] else _speed_cells(row)
        label = f"**{row['label']}**" if row["ours"] else row["label"]
        yield "| " + " | ".join([label, *cells]) + " |"
    yield ""
    about = words["steps" if result["length"]["warm_up"] else "all_steps"].format(
        data=result["data"], steps=result["steps"]
    )
    found = words["stop"].join(said(result, bar) for bar in result["bars"])
    yield f"{about} {words['bars'].format(bars=found)}"


def _speed_cells(row: Mapping[str, Any]) -> list[str]:
    if "missing" in row:
        return [row["missing"], "", "", ""]
    times = "–" if row["beside"] is None else f"{row['beside']:.2f}"
    warm = f"{row['first_warm_up']:.1f}, {row['warm_up']:.1f}"
    return [f"{_rounded(row['samples_per_second']):,}", times, warm, _loss(row)]


def _whole_cells(row: Mapping[str, Any]) -> list[str]:
    if "missing" in row:
        return [row["missing"], "", ""]
    above = "–" if row["beside"] is None else f"{row['beside']:.2f}"
    return [f"{row['seconds']:.2f}", above, _loss(row)]


def _loss(row: Mapping[str, Any]) -> str:
    if row["loss"] is None:
        return "–"
    return f"{row['loss']:.4f}" + (" ≠" if row["same"] is False else "")


def _rounded(value: int) -> int:
    """To the digits that mean something."""
    return round(value, PRECISION - len(str(value)))
