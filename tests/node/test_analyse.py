"""A study in the analysing child, from the journal to its results: which model got what, and what it said of it."""

import hashlib
from dataclasses import replace
from io import BytesIO

import highdicom
import numpy as np
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from node.analyse import Desk, open_desk
from node.job import Job, Setup
from storage.files import ResultStore
from storage.journal import Journal, RecordMeta
from storage.states import Outcome
from storage.studies import Instance
from tests.models import nets, stack_nets
from tests.models.stacks import SPACING, body, directions, enhanced, positions, single_frames
from tests.models.test_volume import real
from tests.node.report.pdf_reading import words
from tests.node.report.sr_reading import numbers, texts
from tests.node.report.validators import errors_of, in_order, volume_of

STORED, BALL = body()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("node")
    for name in ("models", "journal", "results"):
        (folder / name).mkdir()
    nets.bundle(folder / "models" / "knee")
    stack_nets.bundle(folder / "models" / "limb")
    stack_nets.bundle(folder / "models" / "diffusion", stack_nets.DIFFUSION, channel=1)
    return folder


@pytest.fixture(scope="module")
def desk(place):
    found = open_desk(
        Setup(str(place / "models"), str(place / "journal"), str(place / "results"), "cpu", 1, "ERROR", "TEST")
    )
    assert isinstance(found, Desk)
    return found


def job(place, datasets, last_fingerprint=None):
    """The study as the listener leaves it."""
    name = hashlib.sha256(b"".join(ds.SOPInstanceUID.encode() for ds in datasets)).hexdigest()[:12]
    journal = Journal(place / "journal", name + str(len(list((place / "journal").iterdir()))))
    instances = []
    for number, ds in enumerate(datasets, start=1):
        syntax = str(ds.file_meta.TransferSyntaxUID)
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, False
        write_dataset(buffer, ds)
        meta = RecordMeta(
            sop_class_uid=ds.SOPClassUID, sop_instance_uid=ds.SOPInstanceUID, transfer_syntax_uid=syntax,
            study_instance_uid=ds.StudyInstanceUID, series_instance_uid=ds.SeriesInstanceUID, patient_key="p",
            calling_ae="A", called_ae="B", address="127.0.0.1", association="a", received_at=0.0, modality="MR",
        )  # fmt: skip
        journal.begin()
        journal.write(buffer.getvalue())
        where = journal.commit(meta)
        instances.append(
            Instance(
                number, ds.SOPClassUID, ds.SOPInstanceUID, ds.SeriesInstanceUID, syntax, "MR", where, "p", True, False
            )
        )
    journal.close()
    uid = datasets[0].StudyInstanceUID
    return Job(1, uid, 1767225600.0, 1, False, False, tuple(instances), last_fingerprint, ())


def results(place, analysis):
    store = ResultStore(place / "results")
    made = []
    for each in analysis.results:
        ds = read_dataset(BytesIO(store.read(each.path, each.sha256)), False, True)
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = each.transfer_syntax_uid
        made.append((each.kind, ds))
    return made


def mask_of(ds, datasets):
    """The mask of a Segmentation on the slices of a series in the order given, as highdicom finds it by geometry."""
    seg = highdicom.seg.Segmentation.from_dataset(ds)
    return seg.get_pixels_by_source_instance(
        [each.SOPInstanceUID for each in datasets], combine_segments=True, assert_missing_frames_are_empty=True
    )


T1 = {"SeriesDescription": "t1 tse tra"}
DWI = {"ScanningSequence": ["SE", "EP"], "SeriesDescription": "dwi tra"}


def diffusion_series():
    low = np.where(STORED > 0, 4000, 0).astype(np.int16)
    high = (low * np.exp(-0.8 * np.where(BALL, 0.8, 1.6))).astype(np.int16)
    return (
        single_frames(low, series=2, DiffusionBValue=0.0, **DWI),
        single_frames(high, series=3, DiffusionBValue=800.0, **DWI),
    )


def test_a_stack_is_given_to_the_model_that_wants_it_and_its_mask_lies_on_the_source_grid(place, desk):
    source = single_frames(STORED)
    other = single_frames(STORED[:4], series=4, SeriesDescription="t2 tse tra")
    analysis = desk.analyse(job(place, [*source[::-1], *other]))
    assert analysis.outcome is Outcome.OK_FINDINGS
    assert (analysis.model_name, analysis.answer) == ("limb", "tumour")
    assert analysis.explanation[0] == "limb 0.0.1 answers, with 6 of 10 images."
    assert "series 1: axial T1, thigh, 6 slices → limb 0.0.1." in analysis.explanation
    assert any(sentence.startswith("series 4: axial T2") for sentence in analysis.explanation)
    made = results(place, analysis)
    assert [kind for kind, _ in made] == ["seg", "gsps", "sc", "sr"]
    mask = mask_of(made[0][1], source)
    assert np.count_nonzero(mask.astype(bool) ^ BALL) < 0.1 * np.count_nonzero(BALL)
    assert made[0][1].FrameOfReferenceUID == source[0].FrameOfReferenceUID


@pytest.mark.parametrize("is_diffusion", [False, True], ids=["limb", "diffusion"])
def test_a_receiver_of_everything_gets_map_page_and_key_images_and_a_report_that_says_how_soon(
    place, desk, tmp_path, is_diffusion
):
    datasets = [each for series in diffusion_series() for each in series] if is_diffusion else single_frames(STORED)
    asked = job(place, datasets)
    asked = replace(asked, profiles=("everything",), last_image_at=asked.dated_at - 42.0)
    made = results(place, desk.analyse(asked))
    kinds = [kind for kind, _ in made]
    assert kinds[:3] == ["seg", "map", "map"]
    assert kinds[-1] == "sr"
    assert {"gsps", "sc", "pdf", "kos"} < set(kinds)
    for number, (kind, ds) in enumerate(made):
        ds.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
        assert errors_of(tmp_path / f"{number}.dcm") == [], kind
    report = made[-1][1]
    assert numbers(report, "wait") == [(42.0, "s")]
    assert any(" -> " in each for each in texts(report, "used"))
    page = next(ds for kind, ds in made if kind == "pdf")
    assert any("42 s after the last image" in line for line in words(page.EncapsulatedDocument))


def test_nobody_pays_for_a_map_that_nobody_gets(place, desk):
    analysis = desk.analyse(job(place, single_frames(STORED)))
    assert "map" not in [each.kind for each in analysis.results]


@pytest.mark.checklist(39)
def test_an_enhanced_object_gets_the_mask_of_its_twin(place, desk):
    source = single_frames(STORED)
    one = results(place, desk.analyse(job(place, source)))[0][1]
    order = (5, 2, 0, 4, 1, 3)
    twin = enhanced(source, order)
    analysis = desk.analyse(job(place, [twin]))
    assert analysis.outcome is Outcome.OK_FINDINGS, analysis.explanation
    seg = highdicom.seg.Segmentation.from_dataset(results(place, analysis)[0][1])
    mask = seg.get_pixels_by_source_frame(
        twin.SOPInstanceUID, [order.index(number) + 1 for number in range(6)], combine_segments=True,
        assert_missing_frames_are_empty=True,
    )  # fmt: skip
    assert np.array_equal(mask, mask_of(one, source))


@pytest.mark.checklist(1, 16)
@pytest.mark.parametrize("is_enhanced", [False, True], ids=["single frames", "multi-frame"])
def test_the_judges_of_others_accept_every_result_and_read_the_same_mask(place, desk, tmp_path, is_enhanced):
    source = single_frames(STORED)
    analysis = desk.analyse(job(place, [enhanced(source)] if is_enhanced else source))
    paths = {}
    for kind, ds in results(place, analysis):
        paths[kind] = tmp_path / f"{kind}.dcm"
        ds.save_as(paths[kind], enforce_file_format=True)
    assert {kind: errors_of(path) for kind, path in paths.items()} == {"seg": [], "gsps": [], "sc": [], "sr": []}
    row, column = directions()
    mask = mask_of(results(place, desk.analyse(job(place, source)))[0][1], source)
    slices, rows, columns = np.nonzero(mask)
    corners = np.array(positions(len(STORED)))[slices]
    places = corners + rows[:, None] * SPACING[1] * column + columns[:, None] * SPACING[2] * row
    assert volume_of(paths["seg"], tmp_path).points(1) == pytest.approx(in_order(places), abs=0.01)


def test_slices_with_slopes_of_their_own_have_no_presentation_state(place, desk):
    analysis = desk.analyse(job(place, single_frames(STORED, slope=np.linspace(1.0, 1.01, 6))))
    assert [each.kind for each in analysis.results] == ["seg", "sc", "sr"]


def test_two_models_answer_one_study_from_different_series(place, desk):
    low, high = diffusion_series()
    t1 = single_frames(STORED)
    analysis = desk.analyse(job(place, [*t1, *low, *high]))
    assert analysis.outcome is Outcome.OK_FINDINGS, analysis.explanation
    assert set(analysis.model_name.split(" + ")) == {"limb", "diffusion"}
    assert len(analysis.weights_sha256.split("+")) == 2
    made = results(place, analysis)
    assert sorted(kind for kind, _ in made if kind != "adc") == sorted(["seg", "gsps", "sc", "sr"] * 2)
    assert sum(kind == "adc" for kind, _ in made) == len(low)
    assert [kind for kind, _ in made][-1] == "sr"
    assert [each.order for each in analysis.results] == list(range(len(made)))
    assert len({ds.SeriesNumber for _, ds in made}) == 9
    assert len({ds.SOPInstanceUID for _, ds in made}) == len(made)
    series = {str(item.SeriesInstanceUID) for kind, ds in made if kind == "seg" for item in ds.ReferencedSeriesSequence}
    assert series == {t1[0].SeriesInstanceUID, high[0].SeriesInstanceUID}


@pytest.mark.checklist(54)
def test_the_same_study_again_says_nothing_new(place, desk):
    source = single_frames(STORED)
    first = desk.analyse(job(place, source))
    assert desk.analyse(job(place, source, first.fingerprint)).unchanged


@pytest.mark.checklist(27)
def test_the_mean_adc_of_a_lesion_is_in_the_report(place, desk):
    low, high = diffusion_series()
    analysis = desk.analyse(job(place, [*low, *high]))
    assert analysis.model_name == "diffusion"
    report = next(ds for kind, ds in results(place, analysis) if kind == "sr")
    numbers = _numbers(report)
    assert numbers["113041"] == pytest.approx(800.0, rel=0.1)
    assert {"118565006", "81827009"} <= set(numbers)


def _numbers(item):
    found = {}
    for each in item.get("ContentSequence", ()):
        if each.ValueType == "NUM":
            found.setdefault(
                each.ConceptNameCodeSequence[0].CodeValue, float(each.MeasuredValueSequence[0].NumericValue)
            )
        found |= _numbers(each)
    return found


def test_one_series_that_makes_no_volume_does_not_sink_the_others(place, desk):
    t1 = single_frames(STORED)
    for ds in t1:
        ds.PixelData = ds.PixelData[:-200]
    low, high = diffusion_series()
    analysis = desk.analyse(job(place, [*t1, *low, *high]))
    assert analysis.outcome is Outcome.OK_FINDINGS
    assert any(sentence.startswith("limb 0.0.1: Pixel Data") for sentence in analysis.explanation)
    alone = desk.analyse(job(place, t1))
    assert alone.outcome is Outcome.REJECTED_DECODE
    assert alone.results == ()


@pytest.mark.parametrize(
    ("made", "outcome", "words"),
    [
        pytest.param(lambda: single_frames(STORED)[:2], Outcome.REJECTED_INCOMPLETE, "needs 3", id="two slices"),
        pytest.param(lambda: single_frames(STORED)[:2] + single_frames(STORED)[3:], Outcome.REJECTED_GEOMETRY,
                     "missing", id="a gap"),
        pytest.param(lambda: single_frames(np.zeros_like(STORED)), Outcome.REJECTED_DECODE, "same value", id="black"),
        pytest.param(lambda: diffusion_series()[1], Outcome.NOT_APPLICABLE_SEQUENCE_MISSING, "b=0 to 50", id="no b=0"),
        pytest.param(lambda: single_frames(STORED, BodyPartExamined="HEAD"), Outcome.NOT_APPLICABLE_BODYPART,
                     "head", id="a head"),
    ],
)  # fmt: skip
def test_a_study_without_an_answer_says_why(place, desk, made, outcome, words):
    analysis = desk.analyse(job(place, made()))
    assert analysis.outcome is outcome, analysis.explanation
    assert words in " ".join(analysis.explanation)
    assert analysis.results == ()


def test_a_real_series_comes_back_as_a_mask_on_its_own_slices(place, desk):
    source = sorted(real("sts-mr", "dicom", "STS_032", "image"), key=lambda ds: float(ds.ImagePositionPatient[2]))
    analysis = desk.analyse(job(place, source))
    assert analysis.outcome is Outcome.OK_FINDINGS, analysis.explanation
    seg = next(ds for kind, ds in results(place, analysis) if kind == "seg")
    mask = mask_of(seg, source)
    bright = np.stack([ds.pixel_array for ds in source])
    assert mask.shape == bright.shape
    assert bright[mask > 0].mean() > 2 * bright[mask == 0].mean()


def test_the_map_stays_here_where_the_configuration_says_so(place):
    low, high = diffusion_series()
    setup = Setup(str(place / "models"), str(place / "journal"), str(place / "results"), "cpu", 1, "ERROR", "TEST")
    analysis = open_desk(replace(setup, adc_series=False)).analyse(job(place, [*low, *high]))
    assert [each.kind for each in analysis.results] == ["seg", "gsps", "sc", "sr"]


def test_two_bundles_of_one_name_and_version_are_not_both_loaded(place, tmp_path):
    stack_nets.bundle(tmp_path / "models" / "one")
    stack_nets.bundle(tmp_path / "models" / "two")
    setup = Setup(str(tmp_path / "models"), str(place / "journal"), str(place / "results"), "cpu", 1, "ERROR", "TEST")
    loaded = open_desk(setup).loaded
    assert [line for line in loaded if line.startswith("model refused")] == [
        f"model refused: {tmp_path / 'models' / 'two'} calls itself limb 0.0.1, as another bundle does. Remove one of "
        "the two."
    ]


def test_with_a_model_of_pairs_and_one_of_maps_each_study_is_given_to_one(place, tmp_path):
    pairs = stack_nets.DIFFUSION.replace(
        """[[input.needs]]
name = "adc"
weightings = ["ADC"]
instead_of = ["low", "high"]

""",
        "",
    )
    maps = stack_nets.DIFFUSION.replace('channels = ["low", "high", "adc"]', 'channels = ["adc"]')
    maps = maps.replace('name = "diffusion"', 'name = "diffusion-adc"')
    maps = maps.replace('"pelvis"]', '"pelvis"]\nyields_to = ["diffusion"]')
    stack_nets.bundle(tmp_path / "models" / "diffusion", pairs)
    stack_nets.bundle(tmp_path / "models" / "diffusion-adc", maps, channel=0, bright=0.4, is_darker=True)
    setup = Setup(str(tmp_path / "models"), str(place / "journal"), str(place / "results"), "cpu", 1, "ERROR", "TEST")
    both = open_desk(setup)
    low, high = diffusion_series()
    adc = np.where(STORED > 0, np.where(BALL, 800, 1600), 0).astype(np.int16)
    derived = ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]
    sent = single_frames(adc, series=4, ImageType=derived, SeriesDescription="dwi tra ADC")
    for datasets, name in (([*low, *high, *sent], "diffusion"), ([*high, *sent], "diffusion-adc")):
        analysis = both.analyse(job(place, datasets))
        assert (analysis.model_name, analysis.outcome) == (name, Outcome.OK_FINDINGS), analysis.explanation
        assert "adc" not in {each.kind for each in analysis.results}, "the scanner sent one"
    assert "diffusion-adc 0.0.1 does so because diffusion 0.0.1 needs" in analysis.explanation[0]


def test_a_study_unlike_the_training_data_is_rejected_under_that_name(tmp_path):
    for name in ("models", "journal", "results"):
        (tmp_path / name).mkdir()
    card = stack_nets.LIMB.replace("tumour = 0.5", "tumour = 0.5\nunlike = 0.0001")
    stack_nets.bundle(tmp_path / "models" / "limb", card)
    folders = (str(tmp_path / name) for name in ("models", "journal", "results"))
    said = open_desk(Setup(*folders, "cpu", 1, "ERROR", "TEST")).analyse(job(tmp_path, single_frames(STORED)))
    assert (said.outcome, said.answer) == (Outcome.REJECTED_UNLIKE, "not_assessed")
    assert any("unlike those that the model was trained on" in sentence for sentence in said.explanation)
