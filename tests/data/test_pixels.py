"""Pictures scaled as NumPy says, augmented as a plain loop over single pictures does."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.random import keyed_uniform
from penstock.data.examples import InMemory
from penstock.data.pixels import Augment, PixelScaling, PixelTransform

SEED = 1234567


def pictures(count: int = 600, channels: int = 3, height: int = 7, width: int = 9) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (count, channels, height, width), generator=generator)
    return (noise // torch.arange(1, channels + 1).view(-1, 1, 1)).to(torch.uint8)


def test_scaling_has_numpys_mean_and_deviation_of_the_training_pictures() -> None:
    images, indices = pictures(), torch.arange(3, 600, 2)
    scaling = PixelScaling.fit(InMemory({"image": images}), indices)
    chosen = images.numpy()[indices.numpy()].astype(np.float64)
    np.testing.assert_allclose(scaling.mean, chosen.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(scaling.std, chosen.std((0, 2, 3)), rtol=1e-10)
    expected = (images.double() - torch.tensor(scaling.mean).view(3, 1, 1)) / torch.tensor(scaling.std).view(3, 1, 1)
    scaled = scaling(images)
    assert scaled.dtype == torch.float32
    torch.testing.assert_close(scaled.double(), expected.double(), rtol=1e-5, atol=1e-5)
    assert PixelScaling(**json.loads(json.dumps(scaling.to_json()))) == scaling


def test_scaling_looks_at_no_more_pictures_than_its_limit_evenly_spaced() -> None:
    images = pictures()
    limited = PixelScaling.fit(InMemory({"image": images}), torch.arange(600), limit=200)
    np.testing.assert_allclose(limited.mean, images[::3].double().mean((0, 2, 3)), rtol=1e-12)
    other = PixelScaling.fit(InMemory({"image": images}), torch.arange(599), limit=250)
    np.testing.assert_allclose(other.mean, images[:599:3].double().mean((0, 2, 3)), rtol=1e-12)


def test_a_channel_of_one_value_becomes_zero() -> None:
    images = torch.full((4, 2, 3, 3), 17, dtype=torch.uint8)
    images[:, 1, 0] = 0
    scaling = PixelScaling.fit(InMemory({"image": images}), torch.arange(4))
    assert scaling.std[0] == 1
    assert float(scaling(images)[:, 0].abs().max()) < 1e-5


def one_by_one(images: Tensor, down: list[int], right: list[int], flipped: list[bool]) -> np.ndarray:
    """Each picture mirrored, then moved within a frame of repeated borders."""
    out = []
    for image, d, r, f in zip(images.numpy(), down, right, flipped, strict=True):
        most = max(abs(d), abs(r), 1)
        mirrored = image[:, :, ::-1] if f else image
        padded = np.pad(mirrored, ((0, 0), (most, most), (most, most)), mode="edge")
        height, width = image.shape[1:]
        out.append(padded[:, most - d : most - d + height, most - r : most - r + width])
    return np.stack(out)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("shift", [0, 1, 3, 12])  # the last is more than the picture is wide
def test_shift_and_flip_as_done_to_each_picture_alone(flip: bool, shift: int) -> None:
    images, indices = pictures(200), torch.arange(1000, 1200)
    draws = keyed_uniform(SEED, indices, 3).double()
    down, right = ((draws[:, i] * (2 * shift + 1)).floor().int().sub(shift).tolist() for i in (0, 1))
    flipped = (draws[:, 2] >= 0.5).tolist() if flip else [False] * 200
    found = Augment(flip=flip, shift=shift)(images, indices, SEED)
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found.numpy(), one_by_one(images, down, right, flipped))
    if shift:
        assert set(down) == set(right) == set(range(-shift, shift + 1))


def test_borders_repeat() -> None:
    image = torch.arange(1, 10, dtype=torch.uint8).view(1, 1, 3, 3).expand(100, -1, -1, -1)
    moved = Augment(shift=1)(image, torch.arange(100), SEED).flatten(1).tolist()
    assert [1, 1, 2, 1, 1, 2, 4, 4, 5] in moved  # down and to the right
    assert [5, 6, 6, 8, 9, 9, 8, 9, 9] in moved  # up and to the left
    assert all(0 not in row for row in moved)


def test_an_example_is_varied_alike_whatever_the_batch_and_differently_in_each_epoch() -> None:
    images, augment = pictures(50), Augment(flip=True, shift=2)
    indices = torch.arange(50)
    together = augment(images, indices, SEED)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(1))
    assert torch.equal(augment(images[order], order, SEED), together[order])
    for i in range(0, 50, 7):
        assert torch.equal(augment(images[i : i + 1], indices[i : i + 1], SEED)[0], together[i])
    assert not torch.equal(augment(images, indices, SEED + 1), together)


def test_about_half_are_mirrored_and_shifts_are_uniform() -> None:
    count = 8000
    images = torch.arange(9, dtype=torch.uint8).view(1, 1, 3, 3).expand(count, -1, -1, -1)
    mirrored = (Augment(flip=True)(images, torch.arange(count), SEED)[:, 0, 0, 0] == 2).sum()
    assert abs(int(mirrored) - count / 2) < 5 * (count / 4) ** 0.5
    moved = Augment(shift=1)(images, torch.arange(count), SEED)[:, 0, 1, 1].long()  # what came to the middle
    counts = torch.bincount(moved, minlength=9).double()
    statistic = float(((counts - count / 9) ** 2 / (count / 9)).sum())
    assert statistic < 8 + 5 * 4  # chi-square with 8 degrees of freedom: mean 8, deviation 4


def test_without_augmentation_pixels_pass_untouched() -> None:
    images = pictures(5)
    assert Augment()(images, torch.arange(5), SEED) is images


def test_the_transform_augments_then_scales_and_keeps_the_rest() -> None:
    images, indices = pictures(20), torch.arange(20)
    batch = Batch(image=images, target=torch.arange(20))
    scaling, augment = PixelScaling([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]), Augment(flip=True, shift=1)
    changed = PixelTransform(scaling, augment)(batch, indices, SEED)
    assert list(changed) == ["image", "target"]
    assert torch.equal(changed["image"], scaling(augment(images, indices, SEED)))
    assert torch.equal(PixelTransform(scaling)(batch, indices, SEED)["image"], scaling(images))
    assert batch["image"] is images
