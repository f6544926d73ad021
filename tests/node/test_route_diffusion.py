"""Which b-values become a pair, when the scanner's ADC map stands in, and which models answer side by side."""

from dataclasses import replace

import numpy as np
import pytest

from models.diffusion import two_point
from models.volume import volume
from node.headers import facts_of
from node.route import CardFacts, Need, route
from node.series import series_of
from tests.models.stacks import body, single_frames
from tests.models.test_volume import real

STORED = body()[0][:4]
AXIAL = frozenset({"axial"})
BOTH = CardFacts(
    "diffusion", "1", frozenset({"MR"}), frozenset({"limb"}),
    needs=(
        Need("low", frozenset({"DWI"}), AXIAL, (0, 50), 0.0),
        Need("high", frozenset({"DWI"}), AXIAL, (500, 1000), 800.0),
        Need("adc", frozenset({"ADC"}), AXIAL, instead_of=("low", "high")),
    ),
)  # fmt: skip
LIMB = CardFacts("limb", "1", frozenset({"MR"}), frozenset({"limb"}), needs=(Need("t1", frozenset({"T1"}), AXIAL),))
DWI = {"ScanningSequence": ["SE", "EP"], "SeriesDescription": "dwi tra"}
ADC = {"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"], "SeriesDescription": "dwi tra ADC"}


def b(value, series, **extra):
    return single_frames(STORED, series=series, DiffusionBValue=float(value), **(DWI | extra))


def decide(*stacks, cards=(BOTH,)):
    return route(series_of([facts_of(ds) for stack in stacks for ds in stack]), cards)


def uids(stack):
    return tuple(ds.SOPInstanceUID for ds in stack)


def test_the_b_value_nearest_to_800_is_taken():
    low, middle, high, highest = b(0, 1), b(500, 2), b(750, 3), b(1000, 4)
    chosen = decide(highest, low, middle, high).chosen
    assert chosen.inputs == {"low": uids(low), "high": uids(high)}


def test_a_pair_lies_on_the_same_slices_though_another_series_has_more():
    elsewhere = single_frames(body()[0], series=5, turn=20.0, DiffusionBValue=0.0, **DWI)
    low, high = b(0, 1), b(800, 2)
    decision = decide(elsewhere, low, high)
    assert decision.chosen.inputs == {"low": uids(low), "high": uids(high)}
    assert any(sentence.startswith("series 5:") for sentence in decision.explanation)


def test_the_map_of_the_scanner_stands_in_where_there_is_no_pair():
    high, adc = b(800, 2), single_frames(STORED, series=3, **ADC)
    chosen = decide(high, adc).chosen
    assert chosen.inputs["adc"] == uids(adc)
    assert "low" not in chosen.inputs


def test_the_map_of_the_scanner_is_not_used_beside_a_pair():
    low, high, adc = b(0, 1), b(800, 2), single_frames(STORED, series=3, **ADC)
    assert decide(low, high, adc).chosen.inputs == {"low": uids(low), "high": uids(high)}


def test_without_pair_and_map_the_missing_b_value_is_named():
    decision = decide(b(800, 2))
    assert decision.chosen is None
    assert "b=0 to 50" in decision.summary


def test_models_that_want_other_images_answer_side_by_side():
    t1, low, high = single_frames(STORED, series=6), b(0, 1), b(800, 2)
    decision = decide(t1, low, high, cards=(BOTH, LIMB))
    assert {each.card.name for each in decision.answers} == {"diffusion", "limb"}
    assert "diffusion 1 answers, with 8, and limb 1 answers, with 4 of 12 images." in decision.summary


def test_models_that_want_the_same_images_do_not():
    other = CardFacts("arm", "1", frozenset({"MR"}), frozenset({"limb"}), needs=LIMB.needs)
    decision = decide(single_frames(STORED, series=6), cards=(LIMB, other))
    assert [each.card.name for each in decision.answers] == ["arm"]
    assert "limb 1 could too, but fits less well." in decision.summary


def test_a_card_says_whether_it_takes_derived_images():
    derived = single_frames(STORED, series=6, ImageType=["DERIVED", "PRIMARY", "AXIAL"])
    decision = decide(derived, cards=(LIMB,))
    assert decision.chosen is None
    assert "a derived image (ImageType), and limb 1 takes images as acquired" in decision.summary
    open_to_all = CardFacts("limb", "1", frozenset({"MR"}), frozenset({"limb"}), needs=LIMB.needs, takes_derived=True)
    assert decide(derived, cards=(open_to_all,)).chosen.images == uids(derived)


def test_the_adc_of_a_real_brain_whose_b_values_are_private_is_that_of_a_brain():
    datasets = {ds.SOPInstanceUID: ds for ds in real("mr-dwi", "philips-achieva-b0-b1000-classic-private")}
    facts = [facts_of(ds) for ds in datasets.values()]
    stacks = {stack.b_value: stack for one in series_of(facts) for stack in one.stacks}
    low, high = (
        volume([datasets[image.sop_instance_uid] for image in stacks[b_value].images]) for b_value in (0.0, 1000.0)
    )
    assert low.grid.is_that_of(high.grid)
    made = two_point(low.voxels, high.voxels, 0.0, 1000.0)
    tissue = low.voxels > 0.4 * np.percentile(low.voxels, 99.5)
    assert 0.5 < float(np.median(made.values[tissue & made.valid])) < 1.3


PAIR = replace(BOTH, needs=BOTH.needs[:2])
FROM_MAP = replace(BOTH, name="diffusion-adc", yields_to=frozenset({"diffusion"}))
OUR_MAP = {"Manufacturer": "OSTEON", "ManufacturerModelName": "Osteon"}


def test_a_model_of_maps_leaves_a_study_with_a_pair_to_the_model_of_pairs():
    low, high, adc = b(0, 1), b(800, 2), single_frames(STORED, series=3, **ADC)
    decision = decide(low, high, adc, cards=(PAIR, FROM_MAP))
    assert [each.card.name for each in decision.answers] == ["diffusion"]
    assert decision.chosen.inputs == {"low": uids(low), "high": uids(high)}
    assert "diffusion-adc 1 leaves the study to diffusion 1." in decision.summary


@pytest.mark.parametrize("beside", [(), ((800, 2),), ((0, 1),)], ids=["alone", "beside b=800", "beside b=0"])
def test_a_model_of_maps_answers_where_no_pair_is_and_says_why(beside):
    adc = single_frames(STORED, series=3, **ADC)
    decision = decide(*(b(*each) for each in beside), adc, cards=(PAIR, FROM_MAP))
    assert [each.card.name for each in decision.answers] == ["diffusion-adc"]
    assert decision.chosen.inputs == {"adc": uids(adc)}
    assert " diffusion-adc 1 does so because diffusion 1 needs axial DWI b=" in decision.summary


def test_a_map_elsewhere_than_the_only_b_value_is_used_all_the_same():
    elsewhere = single_frames(body()[0], series=5, turn=20.0, DiffusionBValue=0.0, **DWI)
    adc = single_frames(STORED, series=3, **ADC)
    assert decide(elsewhere, adc, cards=(PAIR, FROM_MAP)).chosen.inputs == {"adc": uids(adc)}


def test_a_map_of_our_own_is_never_looked_at():
    assert decide(single_frames(STORED, series=3, **(ADC | OUR_MAP)), cards=(PAIR, FROM_MAP)).chosen is None


def test_models_that_would_leave_a_study_to_each_other_do_not():
    one, other = (replace(BOTH, name=name, yields_to=frozenset({"one", "other"} - {name})) for name in ("one", "other"))
    assert [each.card.name for each in decide(b(0, 1), b(800, 2), cards=(one, other)).answers] == ["one"]
