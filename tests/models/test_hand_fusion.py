"""What several series of a hand say of one place together."""

from dataclasses import replace

import numpy as np
import pytest

from models import hand
from models.card import parse_card
from models.errors import CardError
from models.findings import Answer, ImageRef, ModelIdentity
from models.hand import classes
from models.hand_card import CHANNELS, HandCalibration
from models.hand_fusion import LEAST, Network, joined
from models.hand_input import plan_of
from models.session import Session
from models.volume import Volume
from tests.models import hand_nets
from tests.models.test_hand_companions import ASKED, AXIAL, BALL, FS, SAGITTAL, T1, drawn, grid

PLAIN = HandCalibration(temperature=1.0, study_temperature=1.0, study_bias=0.0, kind_temperature=1.0)
SURE, FAINT = 0.9, 0.002


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
    """A voxel that lies deep in the ball."""
    slices = np.flatnonzero(ball.any(axis=(1, 2)))
    middle = slices[len(slices) // 2]
    rows, columns = np.nonzero(ball[middle])
    return int(middle), int(np.median(rows)), int(np.median(columns))


def held(values):
    return np.maximum(values, LEAST)


def test_a_tumour_that_one_series_does_not_suspect_another_shows_at_its_place():
    """The mean of the logarithms is the root of the product; 0.0004 of a class counts as 0.001, the least."""
    own, ball = said(T1, FAINT)
    other, there = said(FS, SURE, around=0.02)
    joint, _ = joined((T1, FS), (own, other), 1.0)
    place = (slice(None), *core(ball))
    alone, beside = chances(own)[place], chances(other)[:, *core(there)]
    assert alone[1] == pytest.approx(0.0004)
    wanted = np.sqrt(held(alone) * held(beside))
    assert chances(joint)[place] == pytest.approx(wanted / wanted.sum(), rel=2e-3)
    found = 1.0 - chances(joint)[0] > 0.05
    assert 2 * np.count_nonzero(found & ball) / (np.count_nonzero(found) + np.count_nonzero(ball)) > 0.85


def test_what_a_series_suspects_alone_the_others_are_asked_for():
    own, ball = said(T1, SURE)
    other, _ = said(FS, FAINT)
    joint, _ = joined((T1, FS), (own, other), 1.0)
    assert 1.0 - chances(joint)[0, *core(ball)] < 0.5 < 1.0 - chances(own)[0, *core(ball)]


def test_a_weight_of_a_half_counts_the_other_half_as_much():
    own, ball = said(T1, 0.06, around=0.01)
    other, there = said(FS, SURE, around=0.01)
    joint, _ = joined((T1, FS), (own, other), 0.5)
    place = core(ball)
    wanted = (held(chances(own)[:, *place]) * np.sqrt(held(chances(other)[:, *core(there)]))) ** (2.0 / 3.0)
    assert chances(joint)[:, *place] == pytest.approx(wanted / wanted.sum(), rel=2e-3)


def test_a_series_that_was_sent_twice_has_one_vote():
    own, ball = said(T1, FAINT)
    other, _ = said(FS, SURE)
    once, *_ = joined((T1, FS), (own, other), 1.0)
    twice, *_ = joined((T1, FS, FS), (own, other, other), 1.0)
    assert chances(twice)[:, *core(ball)] == pytest.approx(chances(once)[:, *core(ball)], rel=1e-5)


def test_voxels_that_nobody_suspects_and_padding_keep_the_answer_of_their_own():
    own, _ = said(T1, 0.006, around=0.005)
    other, _ = said(FS, SURE)
    joint, _ = joined((T1, FS), (own, other), 1.0)
    changed = (joint.logits != own.logits).any(axis=0)
    assert 0 < np.count_nonzero(changed) < 0.1 * changed.size
    (top, left), (rows, columns) = own.way.corner, own.way.plane
    inside = np.zeros(changed.shape, dtype=bool)
    inside[:, top : top + rows, left : left + columns] = True
    assert not inside.all()
    assert not changed[~inside].any()


@pytest.mark.parametrize(("beyond", "has_a_say"), [(0.4, True), (0.6, False)])
def test_a_series_reaches_half_a_slice_beyond_its_last_whatever_it_says(beyond, has_a_say):
    """One axial slice of the other stack lies so many of its slices below the only one of ours that is looked at."""
    thick = 4.0
    ours = drawn(grid(AXIAL, (thick, 1.0, 1.0), (3, 60, 60), BALL[0]), BALL, "t1")
    below = replace(ours.grid, origin=ours.grid.origin - (2.0 + beyond) * thick * ours.grid.directions[0])
    theirs = replace(ours, grid=below, role="fs")
    for around in (0.3, SURE):
        own, _ = said(ours, FAINT)
        other, _ = said(theirs, around, around=around)
        joint, _ = joined((ours, theirs), (own, other), 1.0)
        changed = (joint.logits != own.logits).any(axis=0)
        assert bool(changed[0].any()) is has_a_say
        assert not changed[1:].any()


@pytest.mark.parametrize(
    ("stack", "strangeness"),
    [(replace(FS, frame="two"), 1.0), (replace(FS, grid=None), 1.0), (FS, 9.0)],
    ids=["another frame", "no place", "too strange"],
)
def test_a_series_without_a_place_or_unlike_the_training_has_no_say(stack, strangeness):
    own, _ = said(T1, FAINT)
    other, _ = said(FS, SURE, strangeness=strangeness)
    joint = list(joined((T1, stack), (own, other), 1.0, unlike=3.0))
    assert np.array_equal(joint[0].logits, own.logits)
    assert np.array_equal(joint[1].logits, other.logits)


def test_a_single_series_and_a_weight_of_nothing_leave_all_as_it_is():
    own, _ = said(T1, FAINT)
    other, _ = said(FS, SURE)
    assert list(joined((T1,), (own,), 1.0)) == [own]
    assert list(joined((T1, FS), (own, other), 0.0)) == [own, other]


class Bright(Session):
    """A network that finds a ganglion where the series itself is bright."""

    provider = "CPUExecutionProvider"

    def __init__(self):
        """Without a file."""

    def run(self, images):
        logits = np.zeros((len(images), 6, *images.shape[2:]), dtype=np.float32)
        logits[:, 0] = 7.0 + 0.01 * images[:, 0]
        logits[:, 1][images[:, ASKED.channels.index("plain")] > 0.6] = 13.0
        return {"mask_logits": logits}


def model(fusion):
    text = (
        hand_nets.TEXT.replace('["clahe", "plain"]', str(list(CHANNELS[1])).replace("'", '"'))
        .replace("spacing_mm = 0.8", "spacing_mm = 1.0")
        .replace("[calibration]", f"[calibration]\nfusion = {fusion}")
    )
    card = parse_card(text.encode(), hand_nets.PATH)
    return hand.HandModel(card, ModelIdentity("hand-deep-ht", "hand", "1", "", "", "phantom"), Bright())


def series(stack, uid):
    refs = tuple(ImageRef(f"{uid}.{index}") for index in range(len(stack.voxels)))
    return hand.Series(Volume(stack.voxels, stack.grid, refs, uid), stack.role, stack.frame)


def without_the_ball(stack):
    """The same greys in short bright lines, of which none is large enough to be a tumour."""
    grey = np.where(stack.voxels > 600.0, np.float32(320.0), stack.voxels)
    for left in (3, 20, 37):
        grey[::2, ::8, left : left + 4] = 900.0
    return replace(stack, voxels=grey)


OTHER = drawn(grid(SAGITTAL, (2.5, 0.6, 0.6), (20, 80, 100)), BALL, "contrast")


def test_the_node_outlines_what_the_other_series_show_and_says_that_it_is_theirs():
    given = [series(without_the_ball(T1), "1"), series(FS, "2"), series(OTHER, "3")]
    alone, together = model(0.0).answer(given), model(1.0).answer(given)
    assert [len(each.lesions) for each in alone.sources] == [0, 1, 1]
    assert [len(each.lesions) for each in together.sources] == [1, 1, 1]
    words = "1 of its 1 outlined regions are there by what the other series show"
    assert [any(words in note for note in each.notes) for each in together.sources] == [True, False, False]
    assert not any(words in note for each in alone.sources for note in each.notes)


def test_a_tumour_that_the_other_series_deny_leaves_the_study_undecided():
    """As where the hand moved between them: silence would read as normal."""
    given = [series(FS, "1"), series(without_the_ball(T1), "2"), series(without_the_ball(OTHER), "3")]
    found = model(1.0).answer(given)
    assert not any(each.lesions for each in found.sources)
    assert found.answer is Answer.UNDECIDED
    assert found.sources[0].answer is Answer.UNDECIDED
    (note,) = [
        note for note in found.sources[0].notes if "Alone, this series shows 1 region that reads as a tumour" in note
    ]
    assert "the hand may have moved" in note


def test_a_card_says_how_much_the_others_weigh_within_reason():
    assert model(0.5).card.calibration.fusion == 0.5
    with pytest.raises(CardError, match="fusion"):
        model(11.0)
