"""Several directions of diffusion: read in the dialects of the vendors, gathered for their average, or refused."""

import pytest

from node.facts.describe import stack_words
from node.headers import facts_of
from node.route import route
from node.series import series_of
from storage.states import Outcome
from tests.models.stacks import body, single_frames
from tests.node.made_headers import facts, mr
from tests.node.test_headers_diffusion import EPI, _csa, _private
from tests.node.test_route_diffusion import BOTH, b, uids
from tests.node.test_route_real_files import decided

SIX = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (0.6, 0.8, 0), (0.6, 0, 0.8), (0, 0.6, 0.8))
AXES = SIX[:3]
STORED = body()[0][:4]


def siemens(direction, **values):
    ds = _private(mr(Manufacturer="SIEMENS", **EPI), 0x0019, "SIEMENS MR HEADER", 0x0C, "IS", "800")
    ds.add_new(0x0019100E, "FD", list(direction))
    return ds


def in_csa(direction):
    ds = mr(Manufacturer="SIEMENS", **EPI)
    raw = _csa(B_value="800", DiffusionGradientDirection=[str(each) for each in direction])
    return _private(ds, 0x0029, "SIEMENS CSA HEADER", 0x10, "OB", raw)


def ge(direction):
    ds = _private(mr(Manufacturer="GE MEDICAL SYSTEMS", **EPI), 0x0043, "GEMS_PARM_01", 0x39, "IS", ["800", "8"])
    for element, each in zip((0xBB, 0xBC, 0xBD), direction, strict=True):
        _private(ds, 0x0019, "GEMS_ACQU_01", element, "DS", str(each))
    return ds


def philips(direction, letter="O"):
    ds = mr(Manufacturer="Philips Medical Systems", **EPI)
    _private(ds, 0x2001, "Philips Imaging DD 001", 0x03, "FL", 800.0)
    _private(ds, 0x2001, "Philips Imaging DD 001", 0x04, "CS", letter)
    for element, each in zip((0xB0, 0xB1, 0xB2), direction, strict=False):
        _private(ds, 0x2005, "Philips MR Imaging DD 001", element, "FL", each)
    return ds


def uih(direction):
    ds = _private(mr(Manufacturer="UIH", **EPI), 0x0065, "Image Private Header", 0x09, "FD", 800.0)
    ds.add_new(0x00651037, "FD", list(direction))
    return ds


def public(direction):
    return mr(DiffusionBValue=800.0, DiffusionGradientOrientation=list(direction), **EPI)


@pytest.mark.parametrize("made", [public, siemens, in_csa, ge, philips, uih])
def test_a_direction_is_read_in_every_dialect(made):
    found = facts(made((0.6, 0.0, 0.8))).mr.diffusion
    assert found.direction == pytest.approx((0.6, 0.0, 0.8))
    assert found.directionality == "DIRECTIONAL"
    assert facts(made((0.0, 0.0, 0.0))).mr.diffusion.direction is None


def test_the_letters_of_philips_are_directions_too_and_a_trace_has_none():
    found = [facts(philips((), letter)).mr.diffusion for letter in "MPSOI"]
    assert [each.direction for each in found] == [*AXES, None, None]
    assert found[-1].directionality == "ISOTROPIC"


@pytest.mark.parametrize(
    "sign", [{"DiffusionDirectionality": "ISOTROPIC"}, {"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"]}]
)
def test_a_trace_that_kept_a_direction_is_a_trace(sign):
    ds = public((1, 0, 0))
    for keyword, value in sign.items():
        setattr(ds, keyword, value)
    found = facts(ds).mr.diffusion
    assert (found.direction, found.directionality) == (None, "ISOTROPIC")


def high(directions=AXES, series=2, first=1, **extra):
    """b = 800 in several directions, in one series."""
    made = []
    for number, direction in enumerate(directions, start=first):
        told = {"DiffusionGradientOrientation": [float(each) for each in direction]} | extra
        for ds in b(800, series, **told):
            ds.SOPInstanceUID += f".{number}"
            ds.InstanceNumber += 100 * number
            made.append(ds)
    return made


def decide(*stacks):
    return route(series_of([facts_of(ds) for stack in stacks for ds in stack]), [BOTH])


@pytest.mark.parametrize("directions", [AXES, SIX], ids=["three", "six"])
def test_directions_without_a_trace_are_one_input_and_the_explanation_says_so(directions):
    low, several = b(0, 1), high(directions)
    decision = decide(low, several[::-1])
    assert decision.chosen is not None, decision.explanation
    assert set(decision.chosen.inputs["high"]) == {ds.SOPInstanceUID for ds in several}
    given = decision.chosen.given["high"]
    assert given.directions == len(given.parts) == len(directions)
    assert [part.images for part in given.parts] == [uids(several[4 * n : 4 * n + 4]) for n in range(len(directions))]
    words = f"series 2: axial DWI b=800, average of {len(directions)} directions, thigh, 4 slices → diffusion 1."
    assert words in decision.explanation


def test_directions_that_were_taken_twice_are_averaged_over_all_times():
    twice = [*high(), *high(first=4)]
    given = decide(b(0, 1), twice).chosen.given["high"]
    assert (len(given.parts), given.directions) == (6, 3)


def test_each_direction_may_have_a_time_of_its_own():
    timed = [ds for n, g in enumerate(AXES, start=1) for ds in high([g], first=n, TemporalPositionIdentifier=n)]
    assert decide(b(0, 1), timed).chosen.given["high"].directions == 3


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (high()[:-1], "its slices do not all have the same directions of diffusion"),
        (high()[1:], "its slices do not all have the same directions of diffusion"),
        ([*high(), *high(first=4)[:4]], "its slices do not all have the same directions of diffusion"),
        ([*high(AXES[:1])[:2], *high(AXES[1:2])[2:]], "its slices do not all have the same directions of diffusion"),
        (high(AXES[:2]), "an average needs 3 directions of diffusion"),
        (high(((1, 0, 0), (0, 1, 0), (0.6, 0.8, 0))), "its directions of diffusion lie nearly in one plane"),
        ([ds for ds in high() if ds.InstanceNumber % 100 != 2], "the distances between slices differ"),
    ],
    ids=["one too few", "the first is missing", "one twice", "by turns", "two", "flat", "a gap"],
)
def test_directions_that_make_no_average_are_refused_with_a_named_outcome(sent, reason):
    decision = decide(b(0, 1), sent)
    assert decision.chosen is None
    assert decision.outcome is Outcome.REJECTED_GEOMETRY
    assert reason in decision.summary


def low_again(times=2, **extra):
    """b = 0, taken several times in one series, as tensors are."""
    made = []
    for time in range(times):
        for ds in b(0, 1, **extra):
            ds.SOPInstanceUID += f".{time}"
            ds.InstanceNumber += 100 * time
            made.append(ds)
    return made


def test_a_baseline_that_was_taken_several_times_is_one_input_and_the_explanation_says_so():
    low = low_again(3)
    decision = decide(low[::-1], high(SIX))
    assert decision.chosen is not None, decision.explanation
    given = decision.chosen.given["low"]
    assert [part.images for part in given.parts] == [uids(low[4 * n : 4 * n + 4]) for n in range(3)]
    assert (given.b_value, given.directions) == (0.0, 0)
    assert "series 1: axial DWI b=0, average of 3 repetitions, thigh, 4 slices → diffusion 1." in decision.explanation


def unsaid(images):
    """The same without their b-value: in a series of diffusion they count as its b = 0."""
    for ds in images[4:]:
        del ds.DiffusionBValue
    return images


def otherwise(images, **told):
    """The second time taken in another way."""
    for ds in images[4:]:
        for keyword, value in told.items():
            setattr(ds, keyword, value)
    return images


@pytest.mark.parametrize(
    "sent",
    [
        low_again()[:-1],
        low_again()[1:],
        unsaid(low_again()),
        *(
            otherwise(low_again(), **{keyword: value})
            for keyword, value in (
                ("ImageType", ["ORIGINAL", "PRIMARY", "P", "NONE"]),
                ("ComplexImageComponent", "PHASE"),
                ("EchoTime", 120.0),
                ("InPlanePhaseEncodingDirection", "COL"),
            )
        ),
    ],
    ids=["one too few", "the first is missing", "b is not said", "type", "component", "echo time", "phase encoding"],
)
def test_a_baseline_that_was_not_taken_of_all_slices_as_often_and_alike_is_refused(sent):
    decision = decide(sent, high())
    assert decision.chosen is None
    assert decision.outcome is Outcome.REJECTED_GEOMETRY
    assert "several slices lie at one place" in decision.summary


@pytest.mark.parametrize(
    "sign",
    [
        {"DiffusionDirectionality": "ISOTROPIC"},
        {"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"]},
    ],
    ids=["isotropic", "TRACEW"],
)
@pytest.mark.parametrize("series", [2, 3], ids=["in the same series", "in another"])
@pytest.mark.parametrize("is_whole", [True, False], ids=["all directions", "a direction is missing"])
def test_the_trace_of_the_scanner_comes_before_an_average(sign, series, is_whole):
    trace, several = b(800, series, **sign), high()
    for ds in trace:
        ds.SOPInstanceUID += ".9"
    low = b(0, 2)
    for ds in low:
        ds.SOPInstanceUID += ".8"
    decision = decide(low, several if is_whole else several[:-1], trace)
    assert decision.chosen.inputs["high"] == uids(trace)
    assert decision.chosen.given["high"].parts == ()


def test_an_average_comes_before_a_single_direction():
    alone = b(800, 3, DiffusionGradientOrientation=[1.0, 0.0, 0.0])
    assert decide(b(0, 1), alone, high()).chosen.given["high"].directions == 3
    decision = decide(b(0, 1), alone)
    assert "series 3: axial DWI b=800, one direction, thigh, 4 slices → diffusion 1." in decision.explanation


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("ge-pioneer-b0-b1000", "axial DWI b=1000, average of 6 directions, brain, 2 slices"),
        (
            "philips-ingenia-b0-b1000-private-un",
            "axial DWI b=1000, average of 3 directions, unknown body part, 2 slices",
        ),
        ("siemens-xa30-enhanced", "axial DWI b=2500, average of 3 directions, brain, 39 slices"),
    ],
)
def test_directions_of_real_scanners_are_gathered(folder, words):
    _, series = decided(f"mr-dwi/{folder}", cards=())
    assert words in [stack_words(stack) for one in series for stack in one.stacks]


def test_a_plain_series_has_no_parts():
    (series,) = series_of([facts_of(ds) for ds in single_frames(STORED)])
    assert series.stacks[0].parts == ()
