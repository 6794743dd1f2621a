"""The table of generated pictures, of what generation.py has measured, for docs/generate.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TITLES = {
    "dcgan": ("DCGAN", "DCGAN"),
    "conditional": ("DCGAN, conditional (projection)", "条件 DCGAN（投影）"),
    "auxiliary": ("DCGAN, conditional (auxiliary classifier)", "条件 DCGAN（辅助分类器）"),
    "sagan": ("SAGAN", "SAGAN"),
    "diffusion": ("diffusion, 50 steps of DDIM", "扩散模型（DDIM 50 步）"),
    "vae": ("variational autoencoder", "变分自编码器"),
    "vae-gan": ("VAE-GAN", "VAE-GAN"),
    "glo": ("GLO", "GLO"),
    "energy": ("energy-based", "能量模型"),
}
MEASURES = ("frechet", "precision", "recall", "density", "coverage", "sure")
WORDS = {
    "en": {
        "head": "| `--model`, minutes | Fréchet | precision | recall | density | coverage | sure | steps a second |",
        "real": "*{count:,} real ones, beside others*",
        "middle": "{title}, codes within ± {bound:g}",
        "sizes": "Real ones are training pictures beside as many of the test; below them stand as many samples.",
        "judge": "The judge tells {accuracy:.1f} % of the test pictures right. Measured on {machine}, {date}, with "
        "`python benchmarks/generation.py`; every result is in `benchmarks/results`.",
    },
    "zh": {
        "head": "| `--model`，分钟 | Fréchet | precision | recall | density | coverage | 有把握 | 每秒步数 |",
        "real": "*{count:,} 张真实图片与另一批真实图片*",
        "middle": "{title}，编码限于 ± {bound:g}",
        "sizes": "真实图片那一行是训练图片与同样多的测试图片相比；它下面各行是同样多的样本。",
        "judge": "评判者在测试图片上的正确率为 {accuracy:.1f} %。测量环境：{machine}，{date}，"
        "命令 `python benchmarks/generation.py`；每个结果见 `benchmarks/results`。",
    },
}


def table(results: Path, language: str) -> str:
    """All that were measured, the best of each time first; nothing where there is none."""
    found = measured(results)
    if not found:
        return ""
    words, at = WORDS[language], language == "zh"
    one = found[0][1]
    lines = [words["head"], "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    count = None
    for name, row in found:
        if row["samples"] != count:
            count = row["samples"]
            lines.append(_line(words["real"].format(count=count), row["of_real_ones"]))
        title, minutes = TITLES[name][at], f"{row['minutes']:g}"
        pace = f"{row['steps'] / row['training_seconds']:.1f}"
        lines.append(_line(f"{title}, {minutes}", row, pace))
        if row["truncated"]:
            lines.append(
                _line(words["middle"].format(title=f"{title}, {minutes}", **row["truncated"]), row["truncated"])
            )
    dates = sorted({row["date"] for _, row in found})
    machines = "; ".join(dict.fromkeys(row["machine"] for _, row in found))
    told = {"accuracy": 100 * one["judge"]["accuracy"], "machine": machines, "date": dates[-1]}
    return "\n".join([*lines, "", words["sizes"], words["judge"].format(**told)])


def measured(results: Path) -> Sequence[tuple[str, Mapping[str, Any]]]:
    """Cases and what was found: most samples first, of these the longest trainings, and of these the nearest."""
    files = [(name, path) for name in TITLES for path in results.glob(f"generation-{name}-*.json")]
    rows = [(name, json.loads(path.read_text(encoding="utf-8"))) for name, path in files if _is(name, path)]
    return sorted(rows, key=lambda row: (-row[1]["samples"], -row[1]["minutes"], row[1]["frechet"]))


def _is(name: str, path: Path) -> bool:
    """Whether what follows the name is a number of minutes, not the rest of a longer name."""
    return path.stem.removeprefix(f"generation-{name}-").replace(".", "", 1).isdigit()


def _line(title: str, row: Mapping[str, Any], pace: str = "") -> str:
    cells = [f"{row[name]:.2f}" if name == "frechet" else f"{row[name]:.3f}" for name in MEASURES]
    return "| " + " | ".join([title, *cells, pace]) + " |"
