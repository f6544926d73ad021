"""What several series of a hand say of one place together."""

from dataclasses import replace

import numpy as np
import pytest

from models.hand import classes
from models.hand_card import HandCalibration
from models.hand_fusion import Network, together
from models.hand_input import plan_of
from tests.models.test_hand_companions import ASKED, BALL, FS, T1

PLAIN = HandCalibration(temperature=1.0, study_temperature=1.0, study_bias=0.0, kind_temperature=1.0)
SURE, SLIGHT, FAINT = 0.9, 0.06, 0.0005


def said(stack, inside, kind=1, *, around=FAINT, strangeness=1.0):
    """A network that gives the ball this probability of a kind, the rest `around`, evenly over the five."""
    place, way = stack.grid, plan_of(ASKED, stack.voxels.shape[1:], stack.spacing)
    index = np.stack(np.meshgrid(*map(np.arange, place.shape), indexing="ij"), axis=-1)
    points = place.origin + (index * np.array(place.spacing)) @ place.directions
    ball = way.resampled((np.linalg.norm(points - np.array(BALL[0]), axis=-1) < BALL[1]).astype(np.float32)) > 0.5
    chances = np.full((6, *ball.shape), around / 5, dtype=np.float32)
    chances[kind] += np.where(ball, inside - around, 0.0)
    chances[0] = 1.0 - chances[1:].sum(axis=0)
    return Network(way, np.log(chances) + 7.0, strangeness), ball


def chances(network):
    return classes(network.way, network.logits, PLAIN).values


def core(ball):
    """The voxels of the ball that lie deep in it."""
    slices = np.flatnonzero(ball.any(axis=(1, 2)))
    middle = slices[len(slices) // 2]
    rows, columns = np.nonzero(ball[middle])
    return int(middle), int(np.median(rows)), int(np.median(columns))


def test_a_tumour_that_one_series_hides_another_shows_at_its_place():
    """Means of logarithms: background sqrt(0.94 * 0.1), ganglion sqrt(0.012 * 0.9)..., scaled to a sum of 1."""
    own, ball = said(T1, SLIGHT, around=SLIGHT)
    other, _ = said(FS, SURE, around=SLIGHT)
    joined, _ = together((T1, FS), (own, other), 1.0)
    place = (slice(None), *core(ball))
    alone, beside = chances(own)[place], chances(other)[:, *core(said(FS, SURE)[1])]
    wanted = np.sqrt(alone * beside)
    assert chances(joined)[place] == pytest.approx(wanted / wanted.sum(), rel=1e-3)
    assert alone[1] == pytest.approx(0.012)
    assert chances(joined)[place][1] > 8 * alone[1]
    found = 1.0 - chances(joined)[0] > 0.2
    assert 2 * np.count_nonzero(found & ball) / (np.count_nonzero(found) + np.count_nonzero(ball)) > 0.85


def test_a_weight_of_a_half_counts_the_other_half_as_much():
    own, ball = said(T1, SLIGHT)
    other, there = said(FS, SURE)
    joined, _ = together((T1, FS), (own, other), 0.5)
    place = core(ball)
    wanted = chances(own)[:, *place] * np.sqrt(chances(other)[:, *core(there)])
    wanted = wanted ** (2.0 / 3.0)
    assert chances(joined)[:, *place] == pytest.approx(wanted / wanted.sum(), rel=1e-3)


def test_where_none_suspects_anything_or_the_other_does_not_lie_nothing_changes():
    own, ball = said(T1, SURE)
    (top, _), small = FS.grid.shape[1:], FS.voxels[:6]
    aside = replace(FS, voxels=small, grid=replace(FS.grid, shape=small.shape))
    other, shown = said(aside, SLIGHT, around=0.9)
    assert top == small.shape[1]
    assert not shown.any(), "the first six of its slices end before the ball"
    joined, _ = together((T1, aside), (own, other), 1.0)
    place = core(ball)
    assert chances(joined)[:, *place] == pytest.approx(chances(own)[:, *place], abs=1e-6)
    far, _ = said(FS, SURE)
    calm, _ = together((T1, FS), (own, far), 1.0)
    away = (slice(None), 0, 0, 0)
    assert chances(calm)[away].tolist() == pytest.approx(chances(own)[away].tolist(), abs=1e-7)


@pytest.mark.parametrize(
    ("stack", "strangeness"),
    [(replace(FS, frame="two"), 1.0), (replace(FS, grid=None), 1.0), (FS, 9.0)],
    ids=["another frame", "no place", "too strange"],
)
def test_a_series_without_a_place_or_unlike_the_training_has_no_say(stack, strangeness):
    own, _ = said(T1, SLIGHT)
    other, _ = said(FS, SURE, strangeness=strangeness)
    joined = together((T1, stack), (own, other), 1.0, unlike=3.0)
    assert np.array_equal(joined[0].logits, own.logits)
    assert np.array_equal(joined[1].logits, other.logits)


def test_a_single_series_and_a_weight_of_nothing_leave_all_as_it_is():
    own, _ = said(T1, SLIGHT)
    other, _ = said(FS, SURE)
    assert together((T1,), (own,), 1.0) == [own]
    assert together((T1, FS), (own, other), 0.0) == [own, other]
