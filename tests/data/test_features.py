from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from penstock.core.errors import CheckpointError, DataError, RecipeError
from penstock.data.features import Classes, Scale, TableEncoder, target_numbers

KINDS = {"价格": "number", "rooms": "number", "sold": "boolean", "when": "date", "city": "category", "note": "skip"}


def table(rows=60, seed=0):
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "价格": [f"{value:.3f}" for value in random.lognormal(3, 2, rows)],
            "rooms": random.integers(1, 9, rows).astype(float),
            "sold": np.array(["yes", "no"])[random.integers(0, 2, rows)],
            "when": (np.datetime64("2020-01-01T00:00") + random.integers(0, 10**6, rows)).astype(str),
            "city": np.array(["上海", "Paris", "Rome"])[random.integers(0, 3, rows)],
            "note": "x",
        }
    ).astype({"价格": object, "sold": object, "when": object, "city": object})
    for name in ("价格", "sold", "when", "city"):
        frame.loc[frame.index[random.integers(0, rows, 4)], name] = None
    frame.loc[frame.index[3], "rooms"] = np.nan
    frame.index = [f"homes.csv:{row + 2}" for row in range(rows)]
    return frame


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_standardisation_equals_scikit_learn():
    values = np.random.default_rng(0).normal(5, 3, (200, 1))
    frame = pd.DataFrame({"a": values[:, 0]})
    found = TableEncoder.fit(frame[:150], {"a": "number"}).encode(frame)["numbers"]
    expected = StandardScaler().fit(values[:150]).transform(values)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize("rounded", [6, 0])
def test_quantile_scaling_equals_scikit_learn(rounded):
    values = np.random.default_rng(0).lognormal(0, 2, (1000, 1)).round(rounded)
    frame = pd.DataFrame({"a": values[:, 0]})
    encoder = TableEncoder.fit(frame[:800], {"a": "number"}, scaling="quantile")
    reference = QuantileTransformer(n_quantiles=256, output_distribution="normal", subsample=None).fit(values[:800])
    probe = np.concatenate([values[:, 0], [-1e9, 1e9]])
    found = encoder.encode(pd.DataFrame({"a": probe}))["numbers"]
    expected = reference.transform(probe[:, None])
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32), atol=2e-5, rtol=1e-5)


def test_missing_numbers_take_the_training_median_and_are_marked_where_training_had_gaps():
    train = pd.DataFrame({"gaps": [1.0, 2.0, 9.0, np.nan], "full": [0.0, 0.0, 4.0, 4.0]})
    encoder = TableEncoder.fit(train, {"gaps": "number", "full": "number"})
    assert encoder.number_names == ["gaps", "gaps:missing", "full"]
    found = encoder.encode(pd.DataFrame({"gaps": [None, 2.0], "full": [np.nan, 2.0]}))["numbers"]
    assert found[0].tolist() == [found[1, 0].item(), 1.0, 0.0]
    assert found[1, 1] == 0


@pytest.mark.parametrize("scaling", ["standard", "quantile"])
def test_a_constant_column_is_zero_and_other_values_stay_finite(scaling):
    encoder = TableEncoder.fit(pd.DataFrame({"a": [0.1] * 7}), {"a": "number"}, scaling=scaling)
    assert encoder.encode(pd.DataFrame({"a": [0.1, 1.1]}))["numbers"].flatten().tolist() == pytest.approx([0, 1])


def test_huge_numbers_are_scaled_and_impossible_ones_refused():
    frame = pd.DataFrame({"a": [1e300, -1e300, 3e300]})
    assert TableEncoder.fit(frame, {"a": "number"}).encode(frame)["numbers"].abs().max() < 2
    narrow = TableEncoder.fit(pd.DataFrame({"a": [0, 1e-5]}), {"a": "number"})
    with pytest.raises(DataError, match="row 1: column 'a' holds 1e\\+308, too far"):
        narrow.encode(pd.DataFrame({"a": [1.0, 1e308]}))


def test_booleans_are_zero_and_one_and_missing_takes_the_commoner():
    train = pd.DataFrame({"a": ["yes", "no", "yes", None]}, dtype=object)
    encoder = TableEncoder.fit(train, {"a": "boolean"})
    assert encoder.encode(train)["numbers"].tolist() == [[1, 0], [0, 0], [1, 0], [1, 1]]


def test_dates_become_days_and_waves():
    train = pd.DataFrame(
        {"d": ["2024-01-01", "2024-01-03", "2024-07-05", None]}, dtype=object
    )  # Monday, Wednesday, Friday
    encoder = TableEncoder.fit(train, {"d": "date"})
    waves = [f"d:{turn} {wave}" for turn in ("month", "weekday") for wave in ("sin", "cos")]
    assert encoder.number_names == ["d", "d:missing", *waves]
    found = encoder.encode(train)["numbers"].double()
    days = np.array([0, 2, 186])
    assert np.allclose(found[:3, 0], (days - days.mean()) / days.std(), atol=1e-5)
    for row, (month, weekday) in enumerate([(0, 0), (0, 2), (6, 4)]):
        angles = [2 * math.pi * month / 12, 2 * math.pi * weekday / 7]
        assert np.allclose(
            found[row, 2:], [wave(angle) for angle in angles for wave in (math.sin, math.cos)], atol=1e-6
        )
    assert found[3, 0] == found[1, 0]
    assert found[3, 1:].tolist() == [1, 0, 0, 0, 0]


def test_the_time_of_day_is_used_where_training_has_one():
    train = pd.DataFrame({"d": ["2024-01-01 06:00", "1969-12-31 18:00"]}, dtype=object)
    encoder = TableEncoder.fit(train, {"d": "date"})
    assert encoder.number_names[-2:] == ["d:hour sin", "d:hour cos"]
    assert np.allclose(encoder.encode(train)["numbers"][:, -2:], [[1, 0], [-1, 0]], atol=1e-6)


def test_categories_are_indices_with_room_for_missing_and_unseen():
    encoder = TableEncoder.fit(pd.DataFrame({"c": ["乙", "甲", "乙", None]}, dtype=object), {"c": "category"})
    assert encoder.cardinalities == [4]
    order = sorted(["乙", "甲"])
    found = encoder.encode(pd.DataFrame({"c": ["丙", None, *order]}, dtype=object))
    assert found["categories"].tolist() == [[0], [1], [2], [3]]
    assert found["numbers"].shape == (4, 0)


def test_only_the_commonest_categories_are_kept():
    frame = pd.DataFrame({"c": list("aabbbcdee")}, dtype=object)
    encoder = TableEncoder.fit(frame, {"c": "category"}, max_categories=2)
    assert encoder.encode(pd.DataFrame({"c": list("abcde")}, dtype=object))["categories"].flatten().tolist() == [
        2,
        3,
        0,
        0,
        0,
    ]


@pytest.mark.parametrize("scaling", ["standard", "quantile"])
def test_a_row_alone_equals_the_row_in_its_batch_and_nothing_is_modified(scaling):
    frame = table()
    before = frame.copy(deep=True)
    encoder = TableEncoder.fit(frame[:40], KINDS, scaling=scaling)
    whole = encoder.encode(frame)
    assert whole["numbers"].shape == (60, len(encoder.number_names))
    assert torch.isfinite(whole["numbers"]).all()
    for row in range(len(frame)):
        alone = encoder.encode(frame[row : row + 1])
        assert all(torch.equal(alone[name][0], whole[name][row]) for name in whole)
    pd.testing.assert_frame_equal(frame, before)


def test_fitting_looks_at_training_rows_only_and_column_order_does_not_matter():
    frame, changed = table(), table()
    changed.loc[changed.index[40:], "rooms"] = 1e6
    changed.loc[changed.index[40:], "city"] = "new"
    assert TableEncoder.fit(frame[:40], KINDS) == TableEncoder.fit(changed[:40], KINDS)
    encoder = TableEncoder.fit(frame[:40], KINDS)
    assert same(encoder.encode(frame), encoder.encode(frame[frame.columns[::-1]].assign(extra=1)))


@pytest.mark.parametrize("scaling", ["standard", "quantile"])
def test_json_keeps_every_bit(scaling):
    frame = table()
    encoder = TableEncoder.fit(frame, KINDS, scaling=scaling)
    again = TableEncoder.from_json(json.loads(json.dumps(encoder.to_json(), allow_nan=False)))
    assert again == encoder
    assert same(again.encode(frame), encoder.encode(frame))


def paths(value, prefix=()):
    yield prefix
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths(item, (*prefix, key))


@pytest.mark.parametrize("nonsense", [None, "text", [], {"version": 2}, math.inf, True])
def test_damaged_json_is_refused_wherever_it_is_damaged(nonsense):
    sound = TableEncoder.fit(table(), KINDS, scaling="quantile").to_json()
    for path in paths(sound):
        damaged = json.loads(json.dumps(sound))
        place = damaged
        for key in path[:-1]:
            place = place[key]
        original = place[path[-1]] if path else damaged
        if type(original) is type(nonsense):  # another text or list may be as good as the one before
            continue
        if path:
            place[path[-1]] = nonsense
        else:
            damaged = nonsense
        with pytest.raises(CheckpointError):
            TableEncoder.from_json(damaged)


def test_errors_name_the_column_and_the_place():
    frame = table()
    encoder = TableEncoder.fit(frame, KINDS)
    with pytest.raises(
        DataError, match=r"homes.csv: column 'rooms' missing, which the model takes; did you mean 'Room'\?"
    ):
        encoder.encode(frame.rename(columns={"rooms": "Room"}))
    frame.loc["homes.csv:9", "价格"] = "ask"
    with pytest.raises(DataError, match=r"homes.csv:9: column '价格' holds 'ask'"):
        encoder.encode(frame)
    with pytest.raises(DataError, match="column '价格' has no value in any of the 60 rows"):
        TableEncoder.fit(frame.assign(价格=None), KINDS)
    with pytest.raises(DataError, match="no column is left"):
        TableEncoder.fit(frame, {"价格": "skip"})
    with pytest.raises(RecipeError, match="did you mean 'number'"):
        TableEncoder.fit(frame, {"价格": "numbr"})


def labels(values, dtype="object"):
    return pd.Series(values, dtype=dtype, name="类", index=[f"y.csv:{row + 2}" for row in range(len(values))])


@pytest.mark.parametrize(
    ("values", "dtype", "names"),
    [
        (["10", "2", "1"], "object", ["1", "2", "10"]),
        ([1, -1, 0], "int64", ["-1", "0", "1"]),
        ([3.0, 12.0, 3.0], "float64", ["3", "12"]),
        ([True, False], "bool", ["false", "true"]),
        (["size 10", "size 9", "Size 1"], "object", ["Size 1", "size 9", "size 10"]),
        (["猫", "狗"], "category", sorted(["猫", "狗"])),
    ],
)
def test_classes_are_sorted_as_people_sort(values, dtype, names):
    given = labels(values, dtype)
    classes = Classes.fit(given)
    assert classes.names == names
    found = classes.encode(given)
    assert found.dtype == torch.int64
    assert [names[index] for index in found.tolist()] == Classes.from_json(classes.to_json()).encode(
        given
    ).numpy().choose(names).tolist()
    assert Classes.fit(given[::-1]) == classes


def test_labels_that_cannot_be_used():
    classes = Classes(["cat", "dog"])
    with pytest.raises(
        DataError, match=r"y.csv:3: column '类' holds 'dgo', none of the 2 classes of training; did you mean 'dog'\?"
    ):
        classes.encode(labels(["cat", "dgo"]))
    for use in (classes.encode, Classes.fit):
        with pytest.raises(DataError, match=r"y.csv:4: the target column '类' is missing in 1 of 3 rows"):
            use(labels(["cat", "dog", None]))
    with pytest.raises(DataError, match="fewer than two classes to tell apart: only 'cat' occurs"):
        Classes.fit(labels(["cat", "cat"]))
    for nonsense in ({"names": ["a"]}, {"names": ["a", "a"]}, {"names": ["a", 1]}, {}, None):
        with pytest.raises(CheckpointError):
            Classes.from_json(nonsense)


def test_the_target_scale():
    values = np.random.default_rng(0).normal(1e5, 2e4, 500)
    scale = Scale.fit(values)
    scaled = scale.encode(values)
    assert scaled.dtype == torch.float32
    assert scaled.mean().item() == pytest.approx(0, abs=1e-6)
    assert scaled.std(correction=0).item() == pytest.approx(1)
    assert np.allclose(scale.decode(scaled), values, rtol=1e-6)
    assert Scale.from_json(json.loads(json.dumps(scale.to_json()))) == scale
    with pytest.raises(DataError, match=r"is 0\.1 in each of the 3 training rows"):
        Scale.fit(np.full(3, 0.1))
    for nonsense in ({"mean": 0.0, "std": 0.0}, {"mean": None, "std": 1.0}, []):
        with pytest.raises(CheckpointError):
            Scale.from_json(nonsense)


def test_numbers_to_predict_must_all_be_there():
    assert target_numbers(labels(["1", "2.5"])).tolist() == [1.0, 2.5]
    with pytest.raises(DataError, match=r"y.csv:3: the target column '类' is missing in 1 of 2 rows"):
        target_numbers(labels([1.0, np.nan], "float64"))
