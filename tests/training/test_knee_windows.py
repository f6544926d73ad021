"""The patch network learns windows of the images' own pixels, and is judged on such: the paper's 416 x 416."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.card import KneeCard, of_kind, read_bundle
from models.knee import load
from models.pixels import normalise
from models.session import Device, SessionOptions
from tests.training import collections
from training import cli
from training.knee import ablate, commands, fit
from training.knee.augment import STILL
from training.knee.batches import BatchSpec, Drawer, Phase
from training.knee.dataset import Radiographs, read
from training.knee.nets import NetSpec
from training.knee.recipe import PAPER, Recipe
from training.knee.windows import start_of, surroundings

WINDOWS = replace(PAPER.patch_stage.batches, phases=(Phase(0.0, 416, STILL, windows=1.0),))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Radiographs:
    """Images of 560 x 560, of which the network's input shows a tenth of the pixels."""
    return read(collections.write(tmp_path_factory.mktemp("large") / "set", images=6, side=560), side=176)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Radiographs:
    return read(collections.write(tmp_path_factory.mktemp("small") / "set", images=3, side=330), side=176)


def batch(data: Radiographs, spec: BatchSpec = WINDOWS, step: int = 2):
    return Drawer(data, range(len(data.names)), spec, PAPER.loss, seed=1)(step, 0.0)


def test_a_window_shows_416_pixels_of_the_image_as_they_are(data: Radiographs) -> None:
    drawn = batch(data)
    wholes = [normalise(data.original(index)[0]) for index in range(6)]
    assert drawn.images.shape == (8, 1, 416, 416)
    made = Drawer(data, range(6), WINDOWS, PAPER.loss, seed=1)
    own = np.random.default_rng((1, 2)).spawn(8)
    for index, rng, image, mask in zip(made._indices(2), own, drawn.images, drawn.targets.mask, strict=True):
        top, left = start_of(data.masks[index], (560, 560), 416, 0.5, rng)
        there = slice(top, top + 416), slice(left, left + 416)
        assert np.allclose(image[0], wholes[index][there], atol=1e-3)
        assert np.array_equal(mask[0] > 0, data.original(index)[1][there])


def test_around_a_window_lies_more_of_the_image_and_beyond_it_nothing(data: Radiographs) -> None:
    top, left = start_of(data.masks[0], (560, 560), 416, 0.0, np.random.default_rng(5)) - 208
    seen = surroundings(data, 0, 416, 0.0, np.random.default_rng(5))
    wanted = np.zeros((832, 832), dtype=np.float32)
    wanted[-top : 560 - top, -left : 560 - left] = normalise(data.original(0)[0])
    assert np.array_equal(seen.image, wanted)
    assert seen.mask.sum() == data.original(0)[1].sum()


def test_an_image_smaller_than_416_is_padded_with_black(small: Radiographs) -> None:
    drawn = batch(small)
    assert drawn.images.shape == (8, 1, 416, 416)
    assert not drawn.images[:, :, 330:].any()
    assert not drawn.images[:, :, :, 330:].any()
    assert np.allclose(drawn.images[0, 0, :330, :330], normalise(small.original(2)[0]), atol=1e-3)


@given(st.integers(40, 900), st.integers(40, 900), st.integers(0, 2**32 - 1))
def test_a_window_lies_in_the_image_and_on_the_tumour_where_it_is_to(rows: int, columns: int, seed: int) -> None:
    mask = np.zeros((32, 32), dtype=np.uint8)
    mask[3, 29] = 1
    top, left = start_of(mask, (rows, columns), 64, 1.0, np.random.default_rng(seed))
    assert 0 <= top <= max(0, rows - 64)
    assert 0 <= left <= max(0, columns - 64)
    assert top <= 3.5 / 32 * rows <= top + 64
    assert left <= 29.5 / 32 * columns <= left + 64


def test_a_window_with_fewer_than_500_pixels_of_tumour_is_normal(data: Radiographs) -> None:
    seen = [batch(data, step=step).targets for step in range(4)]
    labels = torch.cat([each.labels for each in seen])
    pixels = torch.cat([each.mask.sum(dim=(1, 2, 3)) for each in seen])
    wanted = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2] * 4)
    assert torch.equal(labels, torch.where(pixels < 500, 0, wanted))
    assert set(labels.tolist()) == {0, 1, 2}
    none = batch(data, replace(WINDOWS, least_tumour_px=10**6)).targets
    assert not none.labels.any()


def test_a_view_of_half_the_pixels_counts_a_quarter_of_them(data: Radiographs) -> None:
    coarse = replace(WINDOWS, phases=(replace(WINDOWS.phases[0], side=208),))
    fine, half = batch(data).targets, batch(data, coarse).targets
    assert torch.equal(fine.labels, half.labels)
    assert half.mask.sum() == pytest.approx(float(fine.mask.sum()) / 4, rel=0.05)


def tiny() -> Recipe:
    """The paper's way with a small network, two steps and windows of 64."""
    net = NetSpec((4, 6), (1, 1), 1, stem_stride=1, pools_decoder=False, whitens=False, evens=False, dropout=0.0)

    def cut(stage):
        phases = tuple(replace(phase, side=64) for phase in stage.batches.phases)
        window_px = stage.batches.window_px and 64
        batches = replace(stage.batches, phases=phases, window_px=window_px, least_tumour_px=40)
        return replace(stage, batches=batches, plan=replace(stage.plan, steps=2, observe_every=1))

    stages = {"global_stage": cut(PAPER.global_stage), "patch_stage": cut(PAPER.patch_stage)}
    return replace(PAPER, side=64, looks=64, net=net, **stages)


class Trained(NamedTuple):
    """A run of the tiny recipe, and which images it read at their own resolution."""

    folder: Path
    data: Radiographs
    nets: dict[str, fit.SegUNet]
    read: list[int]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder, asked = tmp_path_factory.mktemp("trained"), []
    data = read(collections.write(folder / "set", images=960, side=100), side=64)
    original = Radiographs.original
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Radiographs, "original", lambda self, index: asked.append(index) or original(self, index))
        nets = fit.train(data, tiny(), folder / "run")
    return Trained(folder, data, nets, asked)


def test_the_patch_network_learns_from_and_is_judged_on_the_images_themselves(trained: Trained) -> None:
    division = trained.data.split()
    assert set(trained.read) <= {*division.train, *division.validation}
    assert len(set(trained.read) & set(division.train)) == 2 * 8, "two steps of eight"
    assert set(trained.read) & set(division.validation)


def test_the_ablation_looks_at_the_images_themselves_too(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    maps, dark = ablate.both(trained.nets, tiny(), trained.data), np.zeros((100, 100), np.float32)
    before = {name[0]: way(0).tumour for name, way in maps.items()}
    monkeypatch.setattr(Radiographs, "original", lambda self, index: (dark, dark > 0))
    after = {name[0]: way(0).tumour for name, way in maps.items()}
    assert {one.shape for one in before.values()} == {(64, 64)}
    assert {name: np.array_equal(after[name], before[name]) for name in "345"} == {"3": False, "4": True, "5": False}


def test_what_was_trained_on_windows_is_exported_for_such(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(commands.RECIPES, "paper", tiny())
    made, data = trained.folder / "knee", str(trained.folder / "set")
    asked = ["--run", str(trained.folder / "run"), "--bundle", str(made), "--kind", "phantom"]
    assert cli.main(["export", "knee", "--data", data, *asked]) == 0
    knee = load(of_kind(read_bundle(made), KneeCard), SessionOptions(Device.CPU, threads=1))
    assert knee.card.preprocess.window_px == 64
    assert (knee.card.thresholds.region_min_source_px, knee.card.thresholds.normal_total) == (500.0, 0.2)
    answer = knee.infer(trained.data.original(0)[0])
    assert answer.tumour.shape == (100, 100)
    assert len(answer.windows) == 3 * 3, "from 0, 32 and 36"


def test_a_network_is_judged_on_the_same_windows_each_time(data: Radiographs) -> None:
    recipe = tiny()
    examine = fit._examiner(data, range(6), recipe, recipe.patch_stage.batches)
    torch.manual_seed(1)
    net = fit.SegUNet(recipe.net).eval()
    first, second = examine(net), examine(net)
    assert np.array_equal(first.classes, second.classes)
    assert len(first.labels) == 8
    assert first.labels.max() > 0
    assert 0.0 <= first.auc <= 1.0
