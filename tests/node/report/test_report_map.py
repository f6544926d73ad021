"""Probability maps and distance levels by value: read back, they are what the model said of every pixel."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pytest

from models.card import read_bundle
from models.findings import Maps
from models.session import Device, SessionOptions
from node.report.encode import EncodedObject, part10, result_of
from node.report.envelope import envelope
from node.report.kind import Kind
from node.report.map import MOST, level_map, level_parts, probability_map
from node.report.request import Request
from node.report.subject import Subject
from node.systems.opening import open_system
from tests.models import stack_nets
from tests.node import diffusions
from tests.node.report import test_report_spine
from tests.node.report.made_cases import CR, DX, MODEL, NOW, Case, enhanced_mr, mr_series, normal, radiograph, read
from tests.node.report.test_report_kos import subjects_of
from tests.node.report.test_report_validators import judged
from tests.node.test_systems_stacks import answered


def mapped(case: Case) -> Case:
    """The case as the model would give it when maps are asked for: smooth probabilities, levels on a radiograph."""
    sources = []
    for found in case.findings.sources:
        rising = np.linspace(0.0, 0.6, found.mask[0].size, dtype=np.float32).reshape(found.mask.shape[1:])
        probability = np.where(found.mask > 0, np.float32(0.9), rising)
        levels = np.digitize(probability, [0.15, 0.3, 0.45, 0.8]).astype(np.uint8)
        levels = np.array([0, 4, 3, 2, 1], np.uint8)[levels] if len(found.images) == 1 else None
        sources.append(replace(found, maps=Maps(probability, levels)))
    return replace(case, findings=replace(case.findings, sources=tuple(sources)))


RADIOGRAPHS: dict[str, Callable[[], Case]] = {
    "cr": lambda: mapped(radiograph(CR)),
    "odd": lambda: mapped(radiograph(DX, shape=(301, 219))),
    "normal": lambda: mapped(normal()),
    "unpaired": lambda: mapped(radiograph(CR, BodyPartExamined="PELVIS", Laterality=None)),
}
SERIES: dict[str, Callable[[], Case]] = {
    "mr": lambda: mapped(mr_series()),
    "enhanced": lambda: mapped(enhanced_mr()),
    "no side": lambda: mapped(mr_series(Laterality=None, FrameOfReferenceUID=None)),
}
CASES = RADIOGRAPHS | SERIES


@cache
def made(name: str, is_fractional: bool = False, nominal_plane: bool = True) -> EncodedObject:
    return of(subjects_of(CASES[name]())[0], is_fractional, nominal_plane)


def of(subject: Subject, is_fractional: bool = False, nominal_plane: bool = True) -> EncodedObject:
    cover = envelope(Kind.MAP, 1, subject.key, "run", MODEL, Request(NOW))
    ds = probability_map(subject, MODEL, is_fractional, nominal_plane, cover)
    assert ds is not None
    return result_of(Kind.MAP, 1, ds, subject.carried)


def levels_of(name: str) -> list[EncodedObject]:
    (subject,) = subjects_of(CASES[name]())
    results = []
    for levels in level_parts(subject):
        cover = envelope(Kind.MAP, 2, f"{subject.key}#{levels[0]}", "run", MODEL, Request(NOW))
        results.append(result_of(Kind.MAP, 2, level_map(subject, levels, MODEL, True, cover), subject.carried))
    return results


def probability(case: Case) -> npt.NDArray[np.float32]:
    maps = case.findings.sources[0].maps
    assert maps is not None
    return maps.probability


def shares(result: EncodedObject, case: Case) -> npt.NDArray[np.float64]:
    """A FRACTIONAL Segmentation as a stranger reads it, `(slices, rows, columns)` in the order of the findings."""
    seg = hd.seg.segread(BytesIO(part10(result)))
    images = case.findings.sources[0].images
    if images[0].frame is None:
        pixels = seg.get_pixels_by_source_instance(
            [each.sop_instance_uid for each in images], assert_missing_frames_are_empty=True
        )
    else:
        pixels = seg.get_pixels_by_source_frame(
            images[0].sop_instance_uid, [each.frame for each in images], assert_missing_frames_are_empty=True
        )
    return np.asarray(pixels[..., 0], dtype=np.float64)


@pytest.mark.parametrize("name", SERIES)
def test_a_parametric_map_gives_back_the_probability_in_percent_where_it_was(name: str) -> None:
    case = CASES[name]()
    ds = read(made(name))
    (mapping,) = ds.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    percent = ds.pixel_array * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept
    places = {}
    for frame, plane in zip(ds.PerFrameFunctionalGroupsSequence, percent, strict=True):
        (source,) = frame.DerivationImageSequence[0].SourceImageSequence
        places[source.ReferencedSOPInstanceUID, source.get("ReferencedFrameNumber")] = plane
    for image, said in zip(case.findings.sources[0].images, probability(case), strict=True):
        assert places[image.sop_instance_uid, image.frame] == pytest.approx(100.0 * said, abs=0.0051)
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.30"
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "%"
    quantity = mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0]
    assert (quantity.CodeValue, quantity.CodingSchemeDesignator) == ("110854", "DCM")


@pytest.mark.parametrize("name", CASES)
def test_a_fractional_segmentation_gives_back_the_probability(name: str) -> None:
    case, result = CASES[name](), made(name, is_fractional=True)
    assert shares(result, case) == pytest.approx(probability(case), abs=0.501 / MOST)
    ds = read(result)
    assert (ds.SegmentationType, ds.SegmentationFractionalType, ds.MaximumFractionalValue) == (
        "FRACTIONAL",
        "PROBABILITY",
        MOST,
    )
    assert len(ds.SegmentSequence) == 1


@pytest.mark.parametrize("name", RADIOGRAPHS)
def test_a_radiograph_never_has_a_parametric_map(name: str) -> None:
    assert made(name).sop_class_uid == "1.2.840.10008.5.1.4.1.1.66.4"


@pytest.mark.parametrize("is_fractional", [False, True], ids=["as asked", "fractional"])
@pytest.mark.parametrize("name", CASES)
def test_validators_find_no_error_in_a_map(name: str, is_fractional: bool, tmp_path: Path) -> None:
    assert judged((made(name, is_fractional),), tmp_path) == {}


@pytest.mark.parametrize("name", RADIOGRAPHS)
def test_validators_find_no_error_in_distance_levels_or_a_strict_map(name: str, tmp_path: Path) -> None:
    assert judged((made(name, nominal_plane=False),), tmp_path) == {}
    for result in levels_of(name):
        assert judged((result,), tmp_path) == {}


@pytest.mark.parametrize("name", RADIOGRAPHS)
def test_distance_levels_are_segments_that_read_back_on_their_image(name: str) -> None:
    case, results = CASES[name](), levels_of(name)
    maps = case.findings.sources[0].maps
    assert maps is not None
    assert maps.levels is not None
    found = {}
    for result in results:
        seg = hd.seg.segread(BytesIO(part10(result)))
        pixels = seg.get_pixels_by_source_instance([case.findings.sources[0].images[0].sop_instance_uid])
        for place, number in enumerate(seg.segment_numbers):
            found[str(seg.get_segment_description(number).segment_label)] = pixels[0, ..., place]
    assert sorted(found) == [
        f"AI distance level {level}: {word}"
        for level, word in ((1, "tumour"), (2, "near"), (3, "middle"), (4, "far"))
        if (maps.levels == level).any()
    ]
    for label, pixels in found.items():
        assert np.array_equal(pixels == 1, maps.levels[0] == int(label.split()[3].rstrip(":")))
    assert len(results) == (len(found) if name == "odd" else 1)


def test_a_map_says_which_weights_made_it_and_that_it_is_research() -> None:
    ds = read(made("mr", is_fractional=True))
    (algorithm,) = ds.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence
    assert MODEL.weights_sha256 in algorithm.AlgorithmParameters
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == (MODEL.name, MODEL.version)
    assert read(made("mr")).ContentQualification == "RESEARCH"


def test_findings_without_maps_have_none() -> None:
    (subject,) = subjects_of(radiograph())
    cover = envelope(Kind.MAP, 1, "", "run", MODEL, Request(NOW))
    assert probability_map(subject, MODEL, False, True, cover) is None
    assert level_parts(subject) == ()


def test_a_map_of_nothing_is_no_segmentation() -> None:
    case = mapped(normal())
    found = replace(case.findings.sources[0], maps=Maps(np.zeros_like(probability(case))))
    (subject,) = subjects_of(replace(case, findings=replace(case.findings, sources=(found,))))
    cover = envelope(Kind.MAP, 1, "", "run", MODEL, Request(NOW))
    assert probability_map(subject, MODEL, False, True, cover) is None


@pytest.mark.parametrize("name", ["mr", "cr"])
def test_the_bytes_of_a_map_repeat(name: str) -> None:
    assert made.__wrapped__(name) == made(name)


def test_a_model_of_boxes_has_no_map() -> None:
    findings = test_report_spine.said("malignant").findings
    assert findings is not None
    assert all(found.maps is None for found in findings.sources)


def test_a_map_of_an_object_of_several_b_values_refers_to_the_frames_that_were_read(
    diffusion_of_frames: Case, tmp_path: Path
) -> None:
    (subject,) = subjects_of(diffusion_of_frames)
    result = of(subject, is_fractional=True)
    assert shares(result, diffusion_of_frames) == pytest.approx(probability(diffusion_of_frames), abs=0.501 / MOST)
    assert judged((of(subject), result), tmp_path) == {}


@pytest.fixture(scope="module")
def diffusion_of_frames(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = stack_nets.bundle(tmp_path_factory.mktemp("bundle") / "diffusion", stack_nets.DIFFUSION)
    system = open_system(read_bundle(folder), SessionOptions(Device.CPU, threads=1))
    said = answered(system, [diffusions.together()], with_maps=True)
    assert said.findings is not None
    return Case(said.findings, said.sources, Request(NOW))
