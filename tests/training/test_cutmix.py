"""Mixed views: images, outlines and labels go together, and no tumour is cut in two."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training import collections
from training.knee import cutmix as module
from training.knee.augment import STILL
from training.knee.batches import BatchSpec, Drawer, Phase
from training.knee.cutmix import cutmix
from training.knee.dataset import read
from training.knee.recipe import SMALL

SIDE = 20


def views(*tumours: tuple[int, int, int, int] | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Images whose every pixel is the number of its view, and masks of one box each: top, bottom, left, right."""
    images = torch.arange(len(tumours), dtype=torch.float32)[:, None, None, None].repeat(1, 1, SIDE, SIDE)
    masks = torch.zeros_like(images)
    for mask, box in zip(masks, tumours, strict=True):
        if box is not None:
            mask[0, box[0] : box[1], box[2] : box[3]] = 1.0
    return images, masks


def test_each_pixel_keeps_the_mask_of_the_view_it_came_from() -> None:
    boxes = (None, (2, 7, 3, 9), (12, 15, 12, 18), None)
    _, sources = views(*boxes)
    mixed = 0
    for seed in range(40):
        images, masks = views(*boxes)
        cutmix(images, masks, torch.tensor([0, 1, 2, 0]), 1.0, np.random.default_rng(seed))
        origin = images[:, 0].long()
        rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
        assert torch.equal(masks[:, 0], sources[:, 0][origin, rows, columns])
        mixed += sum(len(view.unique()) > 1 for view in origin)
    assert mixed > 60, "most views are mixed where the chance is 1 and no tumour is in the way"


def test_labels_follow_the_tumours_that_are_left() -> None:
    boxes = (None, (2, 7, 3, 9), (12, 15, 12, 18), None)
    _, sources = views(*boxes)
    whole, seen = sources.sum(dim=(1, 2, 3)), set()
    for seed in range(60):
        images, masks = views(*boxes)
        held = cutmix(images, masks, torch.tensor([0, 1, 2, 0]), 1.0, np.random.default_rng(seed))
        for view, label in enumerate(held.tolist()):
            origin = images[view, 0].long()
            shares = [float((masks[view, 0] * (origin == tumour)).sum() / whole[tumour]) for tumour in (1, 2)]
            assert all(share <= module.GONE + 1e-6 or share >= module.THERE - 1e-6 for share in shares), shares
            there = [tumour for tumour, share in zip((1, 2), shares, strict=True) if share > 0.5]
            assert label == max(there, default=0)
            seen.add((view, label))
    assert {(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (3, 0), (3, 1)} <= seen, "tumours come, go and meet"


def test_a_tumour_that_would_be_halved_leaves_the_view_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SIDES", (0.5, 0.5))
    everywhere = (0, SIDE, 0, SIDE)  # a quarter of it would be covered, or come: both are in doubt
    images, masks = views(everywhere, None)
    held = cutmix(images, masks, torch.tensor([2, 0]), 1.0, np.random.default_rng(3))
    assert held.tolist() == [2, 0], "three quarters of the first are there still, a quarter of it came nowhere"
    assert len(images[1].unique()) == 1


def test_no_chance_changes_nothing() -> None:
    images, masks = views((2, 7, 3, 9), None)
    before = images.clone(), masks.clone()
    assert cutmix(images, masks, torch.tensor([1, 0]), 0.0, np.random.default_rng(1)).tolist() == [1, 0]
    assert torch.equal(images, before[0])
    assert torch.equal(masks, before[1])


def test_a_batch_is_mixed_where_its_phase_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    data = read(collections.write(tmp_path_factory.mktemp("made") / "set", images=24), side=32)
    plain = BatchSpec((3, 2, 2), (Phase(0.0, 32, STILL),), 1.0, 60)
    mixing = replace(plain, phases=(replace(plain.phases[0], mixed=1.0),))
    one, same, other = (Drawer(data, range(24), spec, SMALL.loss, 1)(2, 0.0) for spec in (mixing, mixing, plain))
    assert torch.equal(one.images, same.images)
    changed = (one.images != other.images).flatten(1).any(dim=1)
    assert changed.sum() >= 3
    assert (one.targets.mask.sum(dim=(1, 2, 3))[one.targets.labels > 0] > 0).all()
