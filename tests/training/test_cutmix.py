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
from training.knee.losses import distance_levels
from training.knee.recipe import SMALL

SIDE = 20
SMALL_PX = 4.0


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
        cutmix(images, masks, torch.tensor([0, 1, 2, 0]), 1.0, np.random.default_rng(seed), least=SMALL_PX)
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
        held = cutmix(images, masks, torch.tensor([0, 1, 2, 0]), 1.0, np.random.default_rng(seed), least=SMALL_PX)
        for view, label in enumerate(held.tolist()):
            origin = images[view, 0].long()
            shares = [float((masks[view, 0] * (origin == tumour)).sum() / whole[tumour]) for tumour in (1, 2)]
            assert all(share <= module.GONE + 1e-6 or share >= module.THERE - 1e-6 for share in shares), shares
            there = [tumour for tumour, share in zip((1, 2), shares, strict=True) if share > 0.5]
            assert label == max(there, default=0)
            seen.add((view, label))
    assert {(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (3, 0), (3, 1)} <= seen, "tumours come, go and meet"


def quarter(monkeypatch: pytest.MonkeyPatch, *tumours: tuple[int, int, int, int] | None, least: float) -> list[int]:
    """Of each of two views the labels, once a quarter of each may have gone to the other; 2 and 0 before."""
    monkeypatch.setattr(module, "SIDES", (0.5, 0.5))
    seed = next(seed for seed in range(9) if np.random.default_rng(seed).permutation(2).tolist() == [1, 0])
    images, masks = views(*tumours)
    held = cutmix(images, masks, torch.tensor([2, 0]), 1.0, np.random.default_rng(seed), least=least)
    return [*held.tolist(), *(len(image.unique()) for image in images)]


def test_a_view_to_which_a_part_of_a_tumour_would_come_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    everywhere = (0, SIDE, 0, SIDE)  # a quarter of it is covered, so it is there still; a quarter of it comes: in doubt
    assert quarter(monkeypatch, everywhere, None, least=SMALL_PX) == [2, 0, 2, 1]


def test_a_small_share_of_a_large_tumour_is_no_normal_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GONE", 0.3)  # so that the quarter that comes is a small share
    everywhere = (0, SIDE, 0, SIDE)
    assert quarter(monkeypatch, everywhere, None, least=101.0) == [2, 0, 2, 2], "100 pixels are less than a tumour has"
    assert quarter(monkeypatch, everywhere, None, least=100.0) == [2, 0, 2, 1], "they are as many: in doubt"


def test_a_view_whose_tumour_no_pixel_shows_keeps_its_label(monkeypatch: pytest.MonkeyPatch) -> None:
    assert quarter(monkeypatch, None, None, least=SMALL_PX) == [2, 0, 2, 2]


def test_no_chance_changes_nothing() -> None:
    images, masks = views((2, 7, 3, 9), None)
    before = images.clone(), masks.clone()
    held = cutmix(images, masks, torch.tensor([1, 0]), 0.0, np.random.default_rng(1), least=SMALL_PX)
    assert held.tolist() == [1, 0]
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
    outlined = one.targets.mask.sum(dim=(1, 2, 3)) > 0
    assert torch.equal(outlined, one.targets.labels > 0), "labels are those of the views as they are now"
    assert not torch.equal(one.targets.labels, other.targets.labels), "or the next line would show nothing"
    coarse = torch.nn.functional.max_pool2d(one.targets.mask, SMALL.loss.distance_stride)[:, 0].numpy() > 0
    wanted = np.stack([distance_levels(mask, SMALL.loss.unit) for mask in coarse])
    assert np.array_equal(one.targets.levels.numpy(), wanted), "distances are those of the outlines as they are now"
