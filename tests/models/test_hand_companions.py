"""The other series of a hand, seen where one of them lies."""

from dataclasses import replace

import numpy as np
import pytest

from models import hand
from models.card import parse_card
from models.findings import ModelIdentity
from models.hand_card import CHANNELS, COMPANIONS
from models.hand_input import Stack, prepared
from models.session import Session
from models.stack_card import NeedSpec
from models.volume import Grid
from tests.models import hand_nets

ASKED = replace(
    parse_card(hand_nets.TEXT.encode(), hand_nets.PATH).preprocess, channels=CHANNELS[3], spacing_mm=1.0, size=(64, 64)
)
X, Y, Z = np.eye(3)
AXIAL, SAGITTAL = np.array([-Z, Y, X]), np.array([X, -Z, Y])


def grid(directions, spacing, shape, centre=(10.0, -20.0, 30.0)):
    """A grid around a place of the patient, mm."""
    middle = np.array(spacing) * (np.array(shape) - 1) / 2
    return Grid(np.array(centre) - middle @ directions, directions, spacing, shape)


def drawn(place, ball, role, frame="one"):
    """A stack that shows a bright ball (centre in the patient and radius, mm) in a grey hand."""
    index = np.stack(np.meshgrid(*map(np.arange, place.shape), indexing="ij"), axis=-1)
    points = place.origin + (index * np.array(place.spacing)) @ place.directions
    inside = np.linalg.norm(points - np.array(ball[0]), axis=-1) < ball[1]
    rng = np.random.default_rng(len(role))
    grey = np.where(inside, 900.0, 300.0 + rng.uniform(0, 50, place.shape)).astype(np.float32)
    return Stack(grey, place.spacing[1:], role, place, frame)


BALL = ((14.0, -26.0, 36.0), 8.0)
T1 = drawn(grid(AXIAL, (3.0, 0.8, 0.8), (14, 70, 60)), BALL, "t1")
FS = drawn(grid(SAGITTAL, (2.5, 0.5, 0.5), (20, 90, 110)), BALL, "fs")


def seen(*stacks):
    return [dict(zip(ASKED.channels, channels, strict=True)) for _, channels in prepared(ASKED, stacks)]


def overlap(one, other):
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def test_another_plane_shows_the_same_place_at_the_same_voxel():
    axial, sagittal = seen(T1, FS)
    assert overlap(axial["plain"] > 0.6, axial["fs"] > 0.6) > 0.9
    assert overlap(sagittal["plain"] > 0.6, sagittal["t1"] > 0.6) > 0.9
    assert np.array_equal(axial["t1"], axial["plain"])
    assert np.array_equal(sagittal["fs"], sagittal["plain"])


def test_a_shift_of_one_series_moves_its_companion_as_far():
    """Three slices further down the patient: 9 mm, three slices of the axial stack."""
    moved = replace(FS.grid, origin=FS.grid.origin + np.array([0.0, 0.0, -9.0]))
    (plain, _), (shifted, _) = seen(T1, FS), seen(T1, replace(FS, grid=moved))
    assert shifted["fs"][6:10] == pytest.approx(plain["fs"][3:7], abs=1e-4)


def test_what_a_companion_does_not_show_is_black_and_so_is_one_that_did_not_come():
    small = drawn(grid(SAGITTAL, (2.5, 0.5, 0.5), (4, 40, 40), BALL[0]), BALL, "contrast")
    (axial, _) = seen(T1, small)
    there = axial["contrast"] > 0
    assert 0 < np.count_nonzero(there) < 0.1 * there.size
    assert (axial["plain"][there] > 0).all()
    assert not axial["t2"].any()
    assert not axial["fs"].any()


@pytest.mark.parametrize("other", [replace(FS, frame="two"), replace(FS, grid=None)], ids=["another frame", "no place"])
def test_series_that_share_no_place_are_no_companions(other):
    assert not seen(T1, other)[0]["fs"].any()


def test_two_companions_of_a_weighting_are_averaged_where_both_lie():
    dark = replace(FS, voxels=np.ascontiguousarray(1200.0 - FS.voxels))
    (axial, *_) = seen(T1, FS, dark)
    (one, *_), (other, *_) = seen(T1, FS), seen(T1, dark)
    both = (one["fs"] > 0) & (other["fs"] > 0)
    assert np.count_nonzero(both) > 1000
    assert axial["fs"][both] == pytest.approx(((one["fs"] + other["fs"]) / 2)[both], abs=1e-5)


class Companions(Session):
    """A network that finds a tumour where the companion without fat is bright."""

    provider = "CPUExecutionProvider"

    def __init__(self):
        self.given = []

    def run(self, images):
        self.given.append(images)
        logits = np.zeros((len(images), 6, *images.shape[2:]), dtype=np.float32)
        logits[:, 0] = 6.0 + 0.01 * images[:, 0]
        logits[:, 1][images[:, ASKED.channels.index("fs")] > 0.6] = 12.0
        return {"mask_logits": logits}


def test_a_study_is_answered_with_all_its_series_in_sight():
    card = parse_card(
        hand_nets.with_needs([NeedSpec(name, ("T1",), min_slices=3) for name in COMPANIONS])
        .replace('["clahe", "plain"]', str(list(CHANNELS[3])).replace("'", '"'))
        .replace("spacing_mm = 0.8", "spacing_mm = 1.0")
        .encode(),
        hand_nets.PATH,
    )
    model = hand.HandModel(card, ModelIdentity("hand-deep-ht", "hand", "1", "", "", "phantom"), Companions())
    for stacks, found in ((T1, FS), True), ((T1,), False), ((T1, replace(FS, frame="two")), False):
        first, *_ = model.look(stacks)
        assert bool((first.logits[1] > 6.0).any()) is found
