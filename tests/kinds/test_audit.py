from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from penstock.kinds.audit import audit, audit_contents
from penstock.kinds.columns import infer_columns

N = 1000


def parts(count, seed=0):
    order = np.random.default_rng(seed).permutation(count)
    cut = [int(0.8 * count), int(0.9 * count)]
    return dict(zip(("train", "validation", "test"), map(np.sort, np.split(order, cut)), strict=True))


def clean(seed=0):
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({"数": random.normal(size=N), "c": random.choice(list("abc"), N), "b": random.random(N) < 0.5})
    frame.index = [f"f.csv:{row + 2}" for row in range(N)]
    return frame


def classes(seed=1, share=0.5):
    words = np.where(np.random.default_rng(seed).random(N) < share, "yes", "no")
    return pd.Series(words.astype(object), index=clean().index, name="y")


def values(seed=1):
    return pd.Series(np.random.default_rng(seed).normal(size=N), index=clean().index, name="y")


def find(frame, target, task="classify", given=None, splits=None):
    return audit(frame, infer_columns(frame, given or {}), target, task, splits or parts(len(frame)))


def test_sound_data_gives_no_finding():
    assert find(clean(), classes()) == []
    assert find(clean(), values(), "regress") == []


@pytest.mark.parametrize("load", [load_iris, load_breast_cancer, load_diabetes])
def test_honest_columns_of_known_data_are_not_called_leaks(load):
    frame, target = load(return_X_y=True, as_frame=True)
    task = "regress" if load is load_diabetes else "classify"
    assert not [line for line in find(frame, target, task) if "away" in line]


def test_constant_and_mostly_missing_columns():
    frame = clean().assign(
        one="x", two=3.0, gone=None, rare=np.where(np.arange(N) % 5 == 0, 1.5 * np.arange(N), np.nan)
    )
    found = find(frame, classes(), given={})
    assert "columns 'one', 'two' have the same value in every row: nothing can be learned from that" in found
    assert "column 'gone' is missing in every row" in found
    assert "column 'rare' is missing in 80 % of the rows" in found
    assert len(found) == 3


def test_rows_in_two_splits_are_counted_and_a_pair_is_shown():
    frame, target, splits = clean(), classes(), parts(N)
    sources, copies = splits["train"][:7], splits["test"][:7]
    frame.iloc[copies] = frame.iloc[sources].to_numpy()
    for row in (0, 1, 2):
        target.iloc[copies[row]] = target.iloc[sources[row]]
    for row in (3, 4, 5, 6):
        target.iloc[copies[row]] = "no" if target.iloc[sources[row]] == "yes" else "yes"
    frame = frame.astype({"数": float, "b": bool})
    (found,) = find(frame, target, splits=splits)
    assert found.startswith("7 rows of test also stand in train, with the same target in 3 of them ")
    assert f"({frame.index[copies[0]]} and {frame.index[sources[0]]})" in found
    target.iloc[copies] = target.iloc[sources].to_numpy()
    assert "with the same target (" in find(frame, target, splits=splits)[0]
    apart = {name: rows[~np.isin(rows, copies)] for name, rows in splits.items()}
    assert find(frame, target, splits=apart) == []


@pytest.mark.parametrize(
    "leak",
    [
        lambda yes, random: np.where(yes, random.choice(["p", "q"], N), random.choice(["r", "s"], N)),
        lambda yes, random: np.where(yes, 1.0, 0.0),
        lambda yes, random: np.where(yes, random.normal(10, 1, N), random.normal(-10, 1, N)),
        lambda yes, random: np.where(yes, random.integers(0, 20, N) * 2, random.integers(0, 20, N) * 2 + 1),
        lambda yes, random: np.where(yes, random.choice(list("ab"), N).astype(object), None),
    ],
)
def test_a_column_that_gives_the_class_away(leak):
    target = classes()
    frame = clean().assign(答案=leak((target == "yes").to_numpy(), np.random.default_rng(5)))
    (found,) = find(frame, target)
    assert found.startswith("column '答案' alone gives the target away")
    assert "--columns.答案 skip" in found
    flipped = target.copy()
    flipped.iloc[::50] = "no"  # one row in a hundred no longer follows
    assert find(frame, flipped) == []


def test_values_as_many_as_rows_give_nothing_away():
    frame = clean().assign(name=[f"n{row}" for row in range(N)])
    assert find(frame, classes(), given={"name": "category"}) == []


@pytest.mark.parametrize("leak", [lambda y: 3 - 2 * y, lambda y: np.exp(5 * y)])
def test_a_column_that_gives_the_number_away(leak):
    target = values()
    (found,) = find(clean().assign(leak=leak(target)), target, "regress")
    assert found.startswith("column 'leak' alone gives the target away")
    noisy = leak(target) * (1 + 0.3 * np.random.default_rng(2).normal(size=N))
    assert find(clean().assign(leak=noisy), target, "regress") == []


def test_imbalance():
    splits, target = parts(N), classes(share=0.0)
    target.iloc[splits["train"][:3]] = "稀"
    found = find(clean(), target, splits=splits)
    assert found[0].startswith("1 class has very few of the 800 training rows ('稀' 3)")
    assert found[1].startswith("class 'no' makes 99.6 % of the training rows")
    many = pd.Series([f"k{row % 200}" for row in range(N)], index=target.index, name="y", dtype=object)
    (found,) = [line for line in find(clean(), many) if "very few" in line]
    counts = many.iloc[splits["train"]].value_counts()
    assert found.startswith(f"{((counts < 5) | (counts < 8)).sum()} classes have very few of the 800 training rows (")
    assert ", ...)" in found


def test_outliers_of_a_number_to_predict():
    target = values()
    row = int(parts(N)["train"][5])
    target.iloc[row] = -1e6
    (found,) = find(clean(), target, "regress")
    assert found.startswith("the target 'y' has 1 value far outside the usual")
    assert f"-1e+06 (f.csv:{row + 2})" in found


def test_identifiers_among_numbers():
    random = np.random.default_rng(0)
    frame = clean().assign(
        order=1000 + 3 * np.arange(N), user_id=random.permutation(N) + 7, people=random.permutation(N) + 7
    )
    found = find(frame, classes())
    assert [line.split(" is a ")[0] for line in found] == ["column 'order'", "column 'user_id'"]


def test_the_target_is_no_feature_of_itself():
    target = classes()
    assert find(clean().assign(y=target), target) == []


def test_pictures():
    splits = parts(N)
    digests = [f"{row:x}".encode() for row in range(N)]
    labels = pd.Series(classes().to_numpy(), index=[f"图/{row}.png" for row in range(N)], dtype=object)
    assert audit_contents(digests, labels, "classify", splits) == []
    one, other = int(splits["train"][0]), int(splits["test"][0])
    digests[other] = digests[one]
    labels.iloc[[one, other]] = ["yes", "no"]
    shared, unlike = audit_contents(digests, labels, "classify", splits)
    assert shared.startswith("1 picture of test also stands in train, with another target (")
    assert f"图/{other}.png and 图/{one}.png" in shared
    assert unlike.startswith("1 picture stands under different labels (")
    labels.iloc[other] = "yes"
    (shared,) = audit_contents(digests, labels, "classify", splits)
    assert "with the same target" in shared
    labels.iloc[splits["train"]] = "yes"
    assert any("always answering it" in line for line in audit_contents(digests, labels, "classify", splits))
