"""Where a pair of b-values was chosen and cannot be used: the scanner's map answers, and it is said why."""

import copy

import numpy as np
import pytest

from node.analyse import open_desk
from node.job import Setup
from storage.states import Outcome
from tests.models import stack_nets
from tests.models.stacks import SPACING, single_frames
from tests.node.report.sr_reading import texts
from tests.node.report.validators import errors_of
from tests.node.test_analyse import DWI, STORED, diffusion_series, job, mask_of, results
from tests.node.test_systems_stacks import ADC_ONLY

_OF_MAP = stack_nets.DIFFUSION.index('[[input.needs]]\nname = "adc"')
PAIR = stack_nets.DIFFUSION[:_OF_MAP] + stack_nets.DIFFUSION[stack_nets.DIFFUSION.index("[preprocess]") :]
FROM_MAP = (
    ADC_ONLY.replace('name = "diffusion"', 'name = "diffusion-adc"')
    .replace('body_parts = ["limb", "pelvis"]', 'body_parts = ["limb", "pelvis"]\nyields_to = ["diffusion"]')
    .replace("region_min_mm3 = 5000.0", "region_min_mm3 = 50.0")
)
ANSWERS = "diffusion-adc 0.0.1 answers"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("node")
    for name in ("models", "journal", "results"):
        (folder / name).mkdir()
    stack_nets.bundle(folder / "models" / "diffusion", PAIR)
    stack_nets.bundle(folder / "models" / "diffusion-adc", FROM_MAP, channel=0, bright=0.4)
    return folder


@pytest.fixture(scope="module")
def desk(place):
    return open_desk(
        Setup(str(place / "models"), str(place / "journal"), str(place / "results"), "cpu", 1, "ERROR", "T")
    )


def vendor_map():
    """What the scanner computed, in 10-6 mm2/s, of the same places."""
    low, high = (np.stack([np.frombuffer(ds.PixelData, "<i2") for ds in each]) for each in diffusion_series())
    adc = np.where(high > 0, np.log(np.maximum(low, 1) / np.maximum(high, 1)) / 0.8 * 1000, 0)
    shape = STORED.shape
    told = {"SeriesDescription": "dwi tra ADC", "ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]}
    return single_frames(adc.reshape(shape).astype(np.int16), series=7, **told)


def cut(low, high):
    high[2].PixelData = high[2].PixelData[:-100]
    return low, high


def gap(low, high):
    return low, high[:2] + high[3:]


def shifted(low, high):
    for series in (low, high):
        moved = [float(value) for value in series[3].ImagePositionPatient]
        series[3].ImagePositionPatient = [moved[0] + 4.0, *moved[1:]]
    return low, high


def other_pixels(low, high):
    for ds in high:
        ds.PixelSpacing = [SPACING[1], SPACING[2] * 1.2]
    return low, high


def exchanged(low, high):
    for ds in low:
        ds.DiffusionBValue = 800.0
    for ds in high:
        ds.DiffusionBValue = 0.0
    return low, high


BROKEN = {
    cut: (Outcome.REJECTED_DECODE, "cut"),
    gap: (Outcome.REJECTED_GEOMETRY, "missing"),
    shifted: (Outcome.REJECTED_GEOMETRY, "shifted by 4.00 mm"),
    other_pixels: (Outcome.REJECTED_GEOMETRY, "lies on other voxels"),
    exchanged: (Outcome.AMBIGUOUS_SEQUENCE, "not the b-values of these images"),
}


def broken(how):
    return [ds for series in how(*copy.deepcopy(diffusion_series())) for ds in series]


@pytest.mark.parametrize("how", BROKEN, ids=lambda how: how.__name__)
def test_the_map_of_the_scanner_answers_where_the_pair_cannot_be_used_and_the_report_says_why(
    how, place, desk, tmp_path
):
    _, words = BROKEN[how]
    scanned = vendor_map()
    analysis = desk.analyse(job(place, [*broken(how), *scanned]))
    assert analysis.outcome is Outcome.OK_FINDINGS, analysis.explanation
    assert (analysis.model_name, analysis.model_version) == ("diffusion-adc", "0.0.1")
    assert analysis.explanation[0].startswith(f"{ANSWERS}, with 6 of ")
    assert "diffusion-adc 0.0.1 does so because diffusion 0.0.1 needs" in analysis.explanation[0]
    assert words in " ".join(analysis.explanation)
    made = results(place, analysis)
    assert [kind for kind, _ in made] == ["seg", "gsps", "sc", "sr"]
    assert mask_of(made[0][1], scanned).any()  # its network takes what diffuses freely for tumour
    report = made[-1][1]
    assert [each for each in texts(report, "used") if "ADC" in each and "diffusion-adc 0.0.1" in each]
    assert not [each for each in texts(report, "used") if "DWI" in each]
    for number, (kind, ds) in enumerate(made):
        ds.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
        assert errors_of(tmp_path / f"{number}.dcm") == [], kind


@pytest.mark.parametrize("how", [each for each in BROKEN if each is not gap], ids=lambda how: how.__name__)
def test_the_reason_stands_in_the_report_beside_the_answer(how, place, desk):
    analysis = desk.analyse(job(place, [*broken(how), *vendor_map()]))
    said = [each for each in analysis.explanation if each.startswith("Images that diffusion 0.0.1 was given")]
    assert len(said) == 1
    assert BROKEN[how][1] in said[0]
    assert "and diffusion-adc 0.0.1 answers instead" in said[0]
    comments = texts(results(place, analysis)[-1][1], "comment")
    assert said[0] in comments


@pytest.mark.parametrize("how", BROKEN, ids=lambda how: how.__name__)
def test_without_a_map_the_reason_is_the_outcome(how, place, desk):
    outcome, words = BROKEN[how]
    analysis = desk.analyse(job(place, broken(how)))
    assert analysis.outcome is outcome
    assert words in " ".join(analysis.explanation)
    assert analysis.results == ()


def test_where_the_map_cannot_be_used_either_the_reason_of_the_pair_is_the_outcome_and_both_are_told(place, desk):
    scanned = vendor_map()
    scanned[1].PixelData = scanned[1].PixelData[:-100]
    analysis = desk.analyse(job(place, [*broken(exchanged), *scanned]))
    assert analysis.outcome is Outcome.AMBIGUOUS_SEQUENCE
    told = [each for each in analysis.explanation if each.startswith(("diffusion 0.0.1: ", "diffusion-adc 0.0.1: "))]
    assert [each.partition(":")[0] for each in told] == ["diffusion 0.0.1", "diffusion-adc 0.0.1"]
    assert analysis.results == ()


def test_another_sound_pair_goes_before_the_map(place, desk):
    low, high = copy.deepcopy(diffusion_series())
    pixels = np.stack([np.frombuffer(ds.PixelData, "<i2") for ds in high]).reshape(STORED.shape)
    higher = single_frames(pixels, series=4, DiffusionBValue=1000.0, **DWI)
    analysis = desk.analyse(job(place, [*low, *cut(low, high)[1], *higher, *vendor_map()]))
    assert analysis.outcome is Outcome.OK_FINDINGS, analysis.explanation
    assert analysis.model_name == "diffusion"
    assert any("and diffusion 0.0.1 answers from others" in each for each in analysis.explanation)


def test_a_sound_pair_is_used_and_the_map_is_not(place, desk):
    analysis = desk.analyse(job(place, [*(ds for each in diffusion_series() for ds in each), *vendor_map()]))
    assert analysis.model_name == "diffusion"
    assert not [each for each in analysis.explanation if "cannot be used" in each]


@pytest.mark.checklist(54)
def test_the_same_study_again_says_nothing_new_though_its_pair_fails_again(place, desk):
    sent = [*broken(cut), *vendor_map()]
    first = desk.analyse(job(place, sent))
    again = desk.analyse(job(place, sent, first.fingerprint))
    assert again.unchanged
    assert again.fingerprint == first.fingerprint
    assert again.results == ()
