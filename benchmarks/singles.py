"""A line for each measurement that was made once: what it was, what came out, what was wanted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Found = Mapping[str, Any]
Told = tuple[tuple[str, str], str, str]
"""What was measured, in English and in Chinese; what came out; what was wanted."""

HEADS = {
    "en": "| measured once | result | wanted | minutes | command |",
    "zh": "| 单次测量 | 结果 | 目标 | 分钟 | 命令 |",
}


def translated(english: str, chinese: str) -> Callable[[Found], Told]:
    """Of benchmarks/translation.py."""

    def row(found: Found) -> Told:
        metrics, bar = found["metrics"], found["bar"]
        if found["metric"] == "exact_match":
            return (english, chinese), f"{100 * metrics['exact_match']:.2f} %", f"≥ {100 * bar:g} %"
        said = f"chrF {metrics['chrf']:.1f}, BLEU {metrics['bleu']:.1f}"
        return (english, chinese), said, f"chrF ≥ {bar:g}" if bar else "–"

    return row


def poems(found: Found) -> Told:
    """Of benchmarks/language.py."""
    words = "Tang quatrains: written ones that keep their form", "唐诗绝句：生成的诗中格式正确的比例"
    return words, f"{100 * found['share_that_keeps_form']:.1f} %", f"≥ {100 * found['bar']:g} %"


def faster(found: Found) -> Told:
    """Of benchmarks/language.py."""
    words = "a small GPT, tokens per second beside a plain loop", "小型 GPT 的每秒记号数，相对于普通循环"
    return words, f"{found['ratio']:.2f} ×", f"≥ {found['bar']:g} ×"


def strings(found: Found) -> Told:
    """Of benchmarks/spoken_strings.py."""
    words = "three to seven spoken digits to text: word error rate", "三到七个口语数字转写：词错误率"
    return words, f"{100 * found['wer']:.2f} %", f"≤ {100 * found['bar']:g} %"


def remembered(found: Found) -> Told:
    """Of benchmarks/memory.py."""
    lengths = sorted({row["length"] for row in found["rows"]})
    best = {}
    for name in dict.fromkeys(row["model"] for row in found["rows"]):
        own = [row for row in found["rows"] if row["model"] == name]
        solved = max((row["length"] for row in own if row["solved"]), default=0)
        best[name] = f"{name} {solved} of {max(row['length'] for row in own)}"
    words = (
        f"adding problem over {lengths[0]} to {lengths[-1]} steps: the longest that was solved of those tried",
        f"加法问题（{lengths[0]} 到 {lengths[-1]} 步）：试过的长度中解出的最长者",
    )
    return words, ", ".join(best.values()), "–"


def voices(found: Found) -> Told:
    """Of benchmarks/voice.py."""
    words = (
        "spoken digits in another's voice: taken for the other, digits still read",
        "换成别人声音的口语数字：被认作那个人、数字仍被认对",
    )
    bars = found["bars"]
    wanted = f"≥ {100 * bars['target']:g} %, ≥ {100 * bars['digit']:g} %"
    return words, f"{100 * found['target']:.0f} %, {100 * found['digit']:.0f} %", wanted


def acted(found: Found) -> Told:
    """Of benchmarks/control.py."""
    english, chinese = found["case"]
    low, high = found["interval"]
    seeds = found["seeds"]
    words = (
        f"{english}: return, interquartile mean of {seeds} seeds (95 % interval)",
        f"{chinese}：回报，{seeds} 个种子的四分位均值（95 % 区间）",
    )
    if found["solved"] is None:
        return words, f"{found['interquartile_mean']:.1f} ({low:.1f} – {high:.1f})", f"≥ {found['bar']:g}"
    reached = sum(row["return"] >= found["bar"] for row in found["rows"])
    said = f"{found['interquartile_mean']:.1f} ({low:.1f} – {high:.1f}), {reached} of {seeds} at {found['bar']:g}"
    return words, said, f"{found['solved']} of {seeds} at {found['bar']:g}"


def balanced(found: Found) -> Told:
    """Of benchmarks/control_race.py."""
    name = found["algorithm"].upper()
    words = (
        f"CartPole-v1, {name}: seconds of a process until a return of 475, beside Stable-Baselines3",
        f"CartPole-v1，{name}：进程启动到回报 475 的秒数，相对于 Stable-Baselines3",
    )
    ours, theirs = found["seconds"].values()
    reached = ", ".join(f"{count} of {found['rounds']}" for count in found["reached"].values())
    return words, f"{ours:.1f} / {theirs:.1f} s = {found['ratio']:.2f} ×; reached: {reached}", f"≤ {found['bar']:g} ×"


def beaten(english: str, chinese: str) -> Callable[[Found], Told]:
    """Of benchmarks/selfplay.py: the worst of its seeds."""

    def row(found: Found) -> Told:
        told = [seed["metrics"] for seed in found["rows"]]
        if "losses_perfect" in told[0]:
            lost = sum(round(found["games_each"] * metrics["losses_perfect"]) for metrics in told)
            said, wanted = f"{lost} of {len(told) * found['games_each']} lost to perfect play", "0"
        else:
            chance, ply = (min(metrics[f"wins_{name}"] for metrics in told) for name in ("random", "one_ply"))
            said, wanted = f"{100 * chance:.1f} % against chance, {100 * ply:.1f} % one-ply", "≥ 95 %"
        return (english, chinese), said, wanted

    return row


ROWS: dict[str, Callable[[Found], Told]] = {
    "translation-dates": translated(
        "dates in 13 writings to ISO 8601, exactly right", "13 种日期写法转 ISO 8601，完全正确"
    ),
    "translation-transformer": translated("English to Chinese, Transformer", "英译中，Transformer"),
    "translation-gru": translated("English to Chinese, GRU with attention", "英译中，带注意力的 GRU"),
    "translation-gru-plain": translated("English to Chinese, GRU without", "英译中，不带注意力的 GRU"),
    "language-quatrains": poems,
    "language-gpt": faster,
    "spoken-strings": strings,
    "voice": voices,
    "memory": remembered,
    "selfplay-tic-tac-toe": beaten("self-play: tic-tac-toe", "自我对弈：井字棋"),
    "selfplay-connect-four": beaten("self-play: connect four, games won", "自我对弈：四子棋，获胜的棋局"),
    "control-cartpole-ppo": acted,
    "control-cartpole-dqn": acted,
    "control-acrobot": acted,
    "control-mountain-car": acted,
    "control-pendulum": acted,
    "control-lunar-lander": acted,
    "control-hopper": acted,
    "control-race-ppo": balanced,
    "control-race-dqn": balanced,
}


def table(results: Path, language: str) -> str:
    """Those that have been measured."""
    lines = [HEADS[language], "| --- | --- | --- | --- | --- |"]
    for name, row in ROWS.items():
        place = results / f"{name}.json"
        if place.exists():
            found = json.loads(place.read_text(encoding="utf-8"))
            words, value, wanted = row(found)
            seconds = found.get("process_seconds")
            minutes = f"{seconds / 60:.0f}" if seconds else "–"
            title = words[language == "zh"]
            lines.append(f"| {title} | {value} | {wanted} | {minutes} | `{found['command']}` |")
    return "\n".join(lines)
