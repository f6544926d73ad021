"""What a batch holds, and that it depends on seed and step alone."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from tests.training import collections
from training.knee.augment import AugmentSpec
from training.knee.batches import BatchSpec, Drawer, Phase
from training.knee.dataset import Radiographs, read
from training.knee.recipe import SMALL

VIEWS = SMALL.global_stage.batches.phases[-1].views
PLAIN = AugmentSpec(**dict.fromkeys((field.name for field in fields(AugmentSpec)), 0.0))
SPEC = BatchSpec((3, 2, 2), (Phase(0.0, 16, VIEWS, windows=1.0), Phase(0.5, 32, VIEWS)), 1.0, 60)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Radiographs:
    return read(collections.write(tmp_path_factory.mktemp("made") / "set", images=24), side=32)


def drawer(data: Radiographs, spec: BatchSpec = SPEC, seed: int = 1) -> Drawer:
    return Drawer(data, range(24), spec, SMALL.loss, seed)


def test_whole_views_hold_the_classes_as_composed(data: Radiographs) -> None:
    batch = drawer(data)(0, 0.6)
    assert batch.images.shape == (7, 1, 32, 32)
    assert batch.targets.labels.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert batch.targets.levels.shape == (7, 8, 8)


def test_windows_come_first_and_those_without_a_tumour_are_normal(data: Radiographs) -> None:
    seen = [drawer(data)(step, 0.1) for step in range(12)]
    for batch in seen:
        assert batch.images.shape == (7, 1, 16, 16)
        small = batch.targets.mask.sum(dim=(1, 2, 3)) < 60 * (16 / 256) ** 2
        assert (batch.targets.labels[small] == 0).all()
        assert (batch.targets.labels[:3] == 0).all()
    assert any((batch.targets.labels[3:] > 0).any() for batch in seen)


def test_a_share_of_a_batch_is_seen_through_windows(data: Radiographs) -> None:
    mixed = replace(SPEC, phases=(Phase(0.0, 32, PLAIN, windows=0.4, half_sides=(0.5, 0.5)),), tumour_windows=0.0)
    made = drawer(data, mixed)
    for step in range(6):
        batch = made(step, 0.0)
        assert batch.images.shape == (7, 1, 32, 32)
        wholes = [
            index
            for index in made._indices(step)
            if (torch.from_numpy(data.images[index]).float() / 255.0 - batch.images[:, 0]).abs().amax(dim=(1, 2)).min()
            < 0.01
        ]
        assert len(wholes) == 4, "three of seven are windows, the others show the image as it is"


def test_a_batch_is_a_function_of_seed_and_step(data: Radiographs) -> None:
    one, same, other = drawer(data)(3, 0.6), drawer(data)(3, 0.6), drawer(data, seed=2)(3, 0.6)
    assert torch.equal(one.images, same.images)
    assert not torch.equal(one.images, other.images)


def test_every_image_comes_once_in_a_round(data: Radiographs) -> None:
    made = drawer(data)
    drawn = np.concatenate([made._indices(step)[3:5] for step in range(4)])
    assert sorted(drawn) == sorted(np.flatnonzero(data.labels == 1))


def test_the_levels_are_of_the_mask_seen(data: Radiographs) -> None:
    targets = drawer(data)(1, 0.6).targets
    coarse = torch.nn.functional.max_pool2d(targets.mask, 4)[:, 0] > 0
    assert torch.equal(targets.levels == 1, coarse)
    assert (targets.levels[:3] == 0).all()
