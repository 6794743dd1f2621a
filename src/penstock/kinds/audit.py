"""What looks suspicious in the data before anything is trained on it, one sentence each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from penstock.data.cells import booleans, dates, numbers, place, shell, shown, texts
from penstock.kinds.columns import Column
from penstock.kinds.leaks import tells_class, tells_number

Rows = NDArray[np.int64]
Asked = Literal["classify", "regress", "nothing"]
"""What the target is for: classes, numbers, or it plays no part."""

_ID_NAMES = ("id", "key", "index", "uuid", "no", "nr", "编号", "序号", "学号")


def asked(task: str) -> Asked:
    """What a task makes of the target."""
    if task in ("reconstruct", "generate"):
        return "nothing"
    return "classify" if task == "classify" else "regress"


def audit(
    frame: pd.DataFrame,
    columns: Sequence[Column],
    target: pd.Series[Any],
    task: Asked,
    splits: Mapping[str, Rows],
) -> list[str]:
    """Findings on a table: useless columns, leaks between splits and from columns, a lopsided target.

    `columns` describe `frame`; `target` has its rows, as labels or as numbers. What is said of the target, and of
    columns that give it away, looks at the training rows only. Raises DataError where a cell is not of its kind.
    """
    features = [column for column in columns if column.name != target.name]
    used = {
        column.name: _values(frame[column.name], column.kind)
        for column in features
        if column.kind != "skip" and column.missing < len(frame)
    }
    train = splits["train"]
    if task == "nothing":
        answers: NDArray[Any] = np.zeros(len(frame))
    else:
        answers = texts(target) if task == "classify" else numbers(target)
    codes = pd.factorize(answers)[0]
    findings = _columns(features, used, len(frame))
    if used:
        keys = pd.util.hash_pandas_object(pd.DataFrame(dict(enumerate(used.values()))), index=False).to_numpy()
        findings += _shared(keys, codes, frame.index, splits, "rows", task)
    if task == "nothing":
        return findings
    for name, values in used.items():
        if task == "classify":
            gives_away = tells_class(values[train], codes[train])
        else:
            gives_away = values.dtype == np.float64 and tells_number(values[train], answers[train].astype(np.float64))
        if gives_away:
            findings.append(
                f"column {name!r} alone gives the target away in the training rows: "
                f"if it is not known when predicting, leave it out with {shell(f'--columns.{name}')} skip"
            )
    if task == "classify":
        return findings + _imbalance(answers[train], "rows")
    return findings + _outliers(target, answers.astype(np.float64), train)


def audit_contents(
    digests: Sequence[bytes | str],
    labels: pd.Series[Any],
    task: Asked,
    splits: Mapping[str, Rows],
    what: Literal["pictures", "texts", "sounds"] = "pictures",
) -> list[str]:
    """Findings on labelled pictures or texts: the same in two splits or under two labels, and, to classify, lopsided
    classes. `digests` (N,) stand for their contents; the index of `labels` (N,) says where they are.
    """
    keys = pd.factorize(np.array(list(digests), dtype=object))[0]
    words = texts(labels) if task != "nothing" else np.full(len(labels), "")
    codes = pd.factorize(words)[0]
    findings = _shared(keys, codes, labels.index, splits, what, task)
    first = pd.Series(np.arange(len(keys))).groupby(keys).transform("first").to_numpy()
    unlike = np.flatnonzero(codes != codes[first])
    if len(unlike):
        row, other = int(unlike[0]), int(first[unlike[0]])
        count = len(np.unique(keys[unlike]))
        findings.append(
            f"{_count(count, what)} stand{'s' * (count == 1)} under different labels "
            f"({place(labels, other)} is {shown(words[other])}, {place(labels, row)} is {shown(words[row])}): "
            "keep the right one"
        )
    return findings + (_imbalance(words[splits["train"]], what) if task == "classify" else [])


def _values(series: pd.Series[Any], kind: str) -> NDArray[Any]:
    """A column as float64 where it has an order, else as int64 codes (-1 missing)."""
    if kind == "number":
        return numbers(series) + 0.0  # minus zero is zero
    if kind == "boolean":
        return booleans(series)
    if kind == "date":
        moments = dates(series)
        return np.where(np.isnat(moments), np.nan, moments.astype(np.int64).astype(np.float64))
    return pd.factorize(texts(series))[0].astype(np.int64)


def _columns(features: list[Column], used: Mapping[str, NDArray[Any]], count: int) -> list[str]:
    findings = []
    constant = [column.name for column in features if column.distinct == 1 and column.missing == 0]
    if constant:
        findings.append(f"{_named(constant)} the same value in every row: nothing can be learned from that")
    for column in features:
        if column.missing > 0.5 * count and not (column.kind == "skip" and column.by_hand):
            share = "every row" if column.missing == count else f"{100 * column.missing / count:.0f} % of the rows"
            findings.append(f"column {column.name!r} is missing in {share}")
    return findings + [
        f"column {column.name!r} is a whole number that never repeats, like an identifier: "
        f"if it is one, leave it out with {shell(f'--columns.{column.name}')} skip"
        for column in features
        if column.kind == "number" and column.name in used and _identifies(column.name, used[column.name])
    ]


def _named(names: list[str]) -> str:
    return (
        ("columns " if len(names) > 1 else "column ")
        + ", ".join(map(repr, names))
        + (" have" if len(names) > 1 else " has")
    )


def _identifies(name: str, values: NDArray[np.float64]) -> bool:
    """Whole numbers, all different, that rise or fall with the rows or are called an identifier."""
    if len(values) < 50 or not np.array_equal(values, np.round(values)):
        return False
    steps = np.diff(values)
    if (steps > 0).all() or (steps < 0).all():
        return True
    word = name.casefold().replace("-", "_").replace(" ", "_")
    called = word.split("_")[-1] in _ID_NAMES or name.endswith(("Id", "ID", *_ID_NAMES[-3:]))
    return called and len(np.unique(values)) == len(values)


def _shared(
    keys: NDArray[Any], answers: NDArray[Any], index: pd.Index[Any], splits: Mapping[str, Rows], what: str, task: Asked
) -> list[str]:
    """What stands in two splits at once: how often, one pair of places, and whether the targets agree."""
    whole = pd.util.hash_pandas_object(pd.DataFrame({"key": keys, "answer": answers}), index=False).to_numpy()
    places = pd.Series(0, index=index)
    findings = []
    for (one, first), (other, second) in combinations(splits.items(), 2):
        both = second[np.isin(keys[second], keys[first])]
        if not len(both):
            continue
        alike = int(np.isin(whole[both], whole[first]).sum())
        twin = int(first[(keys[first] == keys[both[0]]).argmax()])
        targets = (
            ", with the same target"
            if alike == len(both)
            else f", with the same target in {alike} of them"
            if alike
            else ", with another target"
        )
        targets = "" if task == "nothing" else targets
        findings.append(
            f"{_count(len(both), what)} of {other} also stand{'s' * (len(both) == 1)} in {one}{targets} "
            f"({place(places, int(both[0]))} and {place(places, twin)}): that flatters the score on {other}"
        )
    return findings


def _imbalance(words: NDArray[Any], what: str) -> list[str]:
    """Classes that training hardly sees, and one that it sees nearly always."""
    counts = pd.Series(words, dtype=object).value_counts()
    total = int(counts.sum())
    findings = []
    rare = counts[(counts < 5) | (counts < 0.01 * total)]
    if len(rare):
        listed = ", ".join(f"{shown(name)} {size}" for name, size in list(rare.items())[:5])
        listed += ", ..." if len(rare) > 5 else ""
        have = "has" if len(rare) == 1 else "have"
        findings.append(
            f"{_count(len(rare), 'classes')} {have} very few of the {total} training {what} ({listed}): "
            "collect more, or expect many mistakes there"
        )
    if len(counts) and counts.max() > 0.95 * total:
        findings.append(
            f"class {shown(counts.idxmax())} makes {100 * counts.max() / total:.1f} % of the training {what}: "
            "always answering it scores as much, so judge by f1 or auc"
        )
    return findings


def _outliers(target: pd.Series[Any], values: NDArray[np.float64], train: Rows) -> list[str]:
    rows = train[~np.isnan(values[train])]
    if not len(rows):
        return []
    low, high = np.quantile(values[rows], (0.25, 0.75))
    excess = np.maximum(values[rows] - high, low - values[rows])
    far = excess > 10 * (high - low)
    if high == low or not far.any():
        return []
    row = int(rows[excess.argmax()])
    return [
        f"the target {str(target.name)!r} has {_count(int(far.sum()), 'values')} far outside the usual {low:.4g} to "
        f"{high:.4g}, the farthest {values[row]:.4g} ({place(target, row)}): check them, they dominate the loss"
    ]


def _count(count: int, what: str) -> str:
    """ "1 row", "2 rows"."""
    single = {"classes": "class"}
    return f"{count} {single.get(what, what[:-1]) if count == 1 else what}"
