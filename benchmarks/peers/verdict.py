"""What the rounds of a race come to: medians, whether all did the same, whether the bars were reached."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from peers.cases import Case, Length
from peers.entries import Bar, Race

TRIAL_TOLERANCE = {False: 0.005, True: 0.03}
"""How far losses of the trial may lie apart, relative to the reference, in float32 and in bfloat16."""


def judge(
    case: Case, field: Race, length: Length, measured: Sequence[Mapping[str, Any]], failed: Mapping[str, str]
) -> dict[str, Any]:
    """A case's result as JSON values; `measured` has what each round found, by entry."""
    rows: dict[str, Any] = {}
    for key, entry in field.entries.items():
        found = [one[key] for one in measured if key in one]
        if key in failed or not found:
            rows[key] = {"missing": failed.get(key, "not installed")}
        else:
            rows[key] = _medians(found)
            if not entry.command:
                rows[key]["samples_per_second"] = round(length.examples * length.epochs / rows[key]["seconds"])
        rows[key] |= {"label": entry.label, "ours": entry.ours}
    reference = rows[field.reference]
    base = next((key for key in field.bases if "seconds" in rows[key]), None)
    for key, row in rows.items():
        row["beside"] = Bar(key, base, 0, above=case.whole).found(measured) if base else None
        row["same"] = same(row, reference, case.tolerance, TRIAL_TOLERANCE[field.entries[key].reduced])
    bars = []
    for bar in field.bars:
        value = bar.found(measured)
        reached = value is not None and bar.reached(value)
        bars.append(vars(bar) | {"found": value and round(value, 3), "reached": reached})
    data = next((one["data"] for found in measured for one in found.values() if "data" in one), None)
    return {
        "title": case.title,
        "whole": case.whole,
        "data": data,
        "base": base,
        "length": length._asdict(),
        "steps": length.examples * length.epochs // case.batch,
        "tolerance": case.tolerance,
        "rows": rows,
        "bars": bars,
    }


def same(row: Mapping[str, Any], reference: Mapping[str, Any], tolerance: float, trial: float) -> bool | None:
    """Whether a row's losses are the reference's; None where there is nothing to compare."""
    answers = []
    for key, allowed in (("loss", tolerance), ("trial_loss", trial)):
        ours, theirs = row.get(key), reference.get(key)
        if ours is not None and theirs is not None:
            answers.append(abs(ours - theirs) <= allowed * abs(theirs))
    return all(answers) if answers else None


def said(result: Mapping[str, Any], bar: Mapping[str, Any]) -> str:
    """A bar and how it went, in one language that needs no words."""
    ahead, behind = (result["rows"][bar[key]]["label"] for key in ("ahead", "behind"))
    wanted = f"{ahead} ≤ {behind} + {bar['wanted']:g} s" if bar["above"] else f"{ahead} ≥ {bar['wanted']:g} × {behind}"
    if bar["found"] is None:
        return f"{wanted}: –"
    found = f"+ {bar['found']:.2f} s" if bar["above"] else f"{bar['found']:.2f} ×"
    return f"{wanted}: **{found}** {'✓' if bar['reached'] else '✗'}"


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """The result for a terminal."""
    yield result["title"]
    for row in sorted(result["rows"].values(), key=lambda row: row.get("seconds", float("inf"))):
        if "missing" in row:
            yield f"  {row['label']:<52} {row['missing']}"
            continue
        speed = f"{row['seconds']:10.3f} s" + (
            f" {row['samples_per_second']:>12,}/s" if not result["whole"] and "samples_per_second" in row else ""
        )
        loss = "" if row["loss"] is None else f"  loss {row['loss']:.4f}" + ("" if row["same"] else " DIFFERS")
        yield f"  {row['label']:<52} {speed}  warm-up {row['first_warm_up']}, {row['warm_up']}{loss}"
    for bar in result["bars"]:
        yield "  " + said(result, bar).replace("**", "")


def _medians(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of all rounds; warm-up of the first round apart, for only then is everything compiled from nothing."""
    later = found[1:] or found
    return {
        "seconds": statistics.median(one["seconds"] for one in found),
        "first_warm_up": found[0].get("warm_up_seconds"),
        "warm_up": statistics.median(one["warm_up_seconds"] for one in later)
        if "warm_up_seconds" in found[0]
        else None,
        "loss": statistics.median(one["loss"] for one in found) if "loss" in found[0] else None,
        "trial_loss": found[0].get("trial_loss"),
        "rounds": list(found),
    }
