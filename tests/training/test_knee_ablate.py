"""The tables of the knee's ablation, with numbers worked out by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.fusion import fuse_classes, fuse_masks
from training.knee import ablate
from training.knee.ablate import NORMAL_TOTAL, PAPER, PAPER_CLASSES, Said
from training.knee.dataset import Radiographs
from training.knee.layouts import Layout
from training.knee.nets import NetSpec, SegUNet
from training.knee.recipe import SMALL

SIDE = 32
NONE = Layout("", (), lambda name: np.zeros((1, 1), dtype=np.float32))


def radiographs(labels: list[int], masks: np.ndarray) -> Radiographs:
    """Images whose first pixel is their number."""
    images = np.zeros_like(masks)
    images[:, 0, 0] = np.arange(len(labels))
    one = np.array(labels, dtype=np.int64)
    return Radiographs(
        tuple(map(str, labels)), one, one, images, masks, np.zeros((len(labels), 32), dtype=np.uint8), Path(), NONE
    )


def test_masks_are_of_the_tumours_and_classes_of_all_images() -> None:
    """Three normal, two benign and one malignant image; right are 2, 1 and 1. Each tumour is outlined by half as much
    again: 4 pixels of 16, and 6 said."""
    masks = np.zeros((6, 4, 4), dtype=np.uint8)
    masks[3:, 1:3, 1:3] = 1
    told = [0, 0, 1, 1, 0, 2]
    found = np.zeros((4, 4), dtype=np.float32)
    found[1:3, 1:4] = 0.5
    classes = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.3, 0.6]])

    def way(index: int) -> Said:
        return Said(found, classes[told[index]])

    data = radiographs([0, 0, 0, 1, 1, 2], masks)
    row = ablate.row("5 Seg-Unet + ClasSegDis Patch + Global", way, data, range(6))
    assert (row.iou, row.dice) == pytest.approx((2 / 3, 0.8)), "of the three tumours; those of normal images are 0"
    assert row.dice_with_background == pytest.approx((0.8 + 20 / 22) / 2)
    assert row.classes is not None
    assert row.classes.accuracy == pytest.approx(4 / 6)
    assert row.classes.of_classes.mean == pytest.approx(100 * (2 / 3 + 1 / 2 + 1) / 3)
    f1s = 4 / 6, 2 / 4, 1.0
    assert row.classes.macro_f1 == pytest.approx(sum(f1s) / 3)
    assert row.classes.weighted_f1 == pytest.approx((3 * f1s[0] + 2 * f1s[1] + f1s[2]) / 6)

    without = ablate.row("1 Seg-Unet", lambda index: way(index)._replace(classes=None), data, range(6))
    assert without.classes is None
    assert without.iou == row.iou
    lines = ablate.table([without, row], "test", "phantom").splitlines()
    assert lines[2].split()[-4:] == ["0.667", "0.800", "0.855", "0.695"]
    assert lines[-2].endswith("no class branch")
    assert lines[-1].split()[-9:-4] == ["0.667", "0.722", "0.255", "0.722", "0.667"]
    assert lines[-1].split()[-4:] == ["0.990", "0.963", "0.064", "0.990"]


def test_the_paper_has_class_figures_of_each_row_with_a_class_branch() -> None:
    assert set(PAPER) - set(PAPER_CLASSES) == {"1 Seg-Unet"}
    assert ablate.WITHOUT["1 Seg-Unet"][0] == 0.0


@torch.no_grad()
def test_the_fused_row_is_a5_and_a6_of_the_other_two() -> None:
    torch.manual_seed(3)
    spec = NetSpec(
        widths=(8, 12), depths=(1, 1), decoder_depth=1, stem_stride=1, pools_decoder=True, whitens=False, evens=False,
        dropout=0.0,
    )  # fmt: skip
    recipe = replace(SMALL, side=SIDE, net=spec)
    data = radiographs([0], np.zeros((1, SIDE, SIDE), dtype=np.uint8))
    data.images[0] = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE))
    ways = ablate.both({"global": SegUNet(spec), "patch": SegUNet(spec)}, recipe, data)
    patch, whole, fused = (ways[name](0) for name in sorted(ways))
    assert fused.tumour.shape == (SIDE, SIDE)
    assert [said.classes.sum() for said in (patch, whole, fused)] == pytest.approx([1.0] * 3)
    assert fused.classes == pytest.approx(fuse_classes(whole.classes, patch.classes, NORMAL_TOTAL))
    assert np.array_equal(fused.tumour, fuse_masks(whole.tumour, patch.tumour))
    assert not np.allclose(whole.classes, patch.classes)
