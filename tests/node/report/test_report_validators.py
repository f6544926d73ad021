"""Every kind of result for every kind of source, before the judges of others."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from pydicom.dataset import Dataset

from models.findings import SourceFindings, Spacing, SpacingSource
from node.report.codes import BODY_PARTS, MEASUREMENTS, UNITS, UNPAIRED
from node.report.encode import EncodedObject, part10
from node.report.kind import Kind
from node.report.patient import REQUIRED
from node.report.profile import Profile
from node.report.request import DocumentRef
from tests.node.report.made_cases import (
    CR,
    DX,
    MODEL,
    RADIOGRAPHS,
    STOCK,
    WITH_LESIONS,
    Case,
    mr_series,
    normal,
    radiograph,
    read,
    stock,
    stock_results,
)
from tests.node.report.raw_bytes import spelled
from tests.node.report.test_report_gsps import SHUTTERS
from tests.node.report.test_report_patient import CHARACTER_SETS, named
from tests.node.report.validators import errors_of, in_order, ran, volume_of

DECLARED = [name for name in CHARACTER_SETS if not name.startswith(("undeclared", "a set", "declared"))]
MISSING = (
    *(keyword for keyword in REQUIRED if keyword != "StudyInstanceUID"),
    *("IssuerOfPatientID", "PatientAge", "PatientWeight", "StudyDescription", "BodyPartExamined", "Laterality"),
    *("PatientOrientation", "WindowCenter", "WindowWidth", "SpecificCharacterSet", "InstanceNumber", "SeriesNumber"),
)
BAD_VALUES = {
    "PatientSex": b"0000",
    "StudyTime": b"10:11:12",
    "StudyDate": b"2026.03.01",
    "StudyID": b"a study id of far too many characters",
    "StudyDescription": b"x" * 100,
    "PatientAge": b"45",
    "PatientWeight": b"heavy",
    "LossyImageCompression": b"01",
}
BAD: dict[str, Callable[[], Case]] = {
    **{
        f"named in {name}": lambda name=name: spelled(radiograph(DX), named(*CHARACTER_SETS[name])) for name in DECLARED
    },  # type: ignore[misc]
    "a radiograph that states nothing": lambda: spelled(radiograph(CR), dict.fromkeys(MISSING)),
    "a radiograph that states nonsense": lambda: spelled(radiograph(CR), BAD_VALUES),
    "a series that states nonsense": lambda: spelled(mr_series(), BAD_VALUES),
    "a series without thickness": lambda: mr_series(SliceThickness=None, SpacingBetweenSlices=None),
    "a series without a frame of reference": lambda: mr_series(FrameOfReferenceUID=None),
    "an unpaired part": lambda: radiograph(CR, BodyPartExamined="PELVIS", Laterality=None),
    "a strict archive": lambda: radiograph(CR).asking(profile=Profile(nominal_plane=False)),
    "a part unknown": lambda: radiograph(DX, BodyPartExamined="", Laterality="", PatientOrientation=""),
    "a report that replaces another": lambda: normal().asking(
        previous=(DocumentRef("1.2.3", "1.2.4", "1.2.840.10008.5.1.4.1.1.88.34", "1.2.5"),)
    ),
    "a volume with outlines and picture": lambda: mr_series().asking(profile=Profile(kinds=frozenset(Kind))),
    "pixels that are not square": lambda: radiograph(CR, spacing=Spacing(0.1, 0.2, SpacingSource.DETECTOR)),
    "pixels of unknown size": lambda: radiograph(CR, spacing=Spacing(2.0, 1.0, SpacingSource.UNKNOWN)),
    "a sigmoid window": lambda: radiograph(CR, VOILUTFunction="SIGMOID"),
    "an exact window": lambda: radiograph(CR, VOILUTFunction="LINEAR_EXACT", WindowWidth="0.5"),
    "shutters": lambda: radiograph(CR, **SHUTTERS),
    "a lesion without an outline": lambda: without_outlines(radiograph(CR)),
}

BEYOND_DCMPSCHK = {
    "named in UTF-8",  # its checker of values does not know ISO_IR 192
    "a radiograph that states nothing",  # it demands the name of a patient, which the standard lets be empty
}


def without_outlines(case: Case) -> Case:
    """The case with lesions that are only a mask."""
    found = case.findings.sources[0]
    bare = replace(found, lesions=tuple(replace(each, outlines=()) for each in found.lesions))
    return replace(case, findings=replace(case.findings, sources=(bare,)))


def written(results: tuple[EncodedObject, ...], folder: Path) -> dict[Kind, Path]:
    """The results as files."""
    paths = {}
    for each in results:
        paths[each.kind] = folder / f"{each.order}-{each.kind}.dcm"
        paths[each.kind].write_bytes(part10(each))
    return paths


def judged(results: tuple[EncodedObject, ...], folder: Path, dcmpschk: bool = True) -> dict[str, list[str]]:
    """The complaints of dciodvfy, dsrdump and dcmpschk by kind of object; empty when there are none."""
    complaints = {}
    for kind, path in written(results, folder).items():
        said = errors_of(path)
        if kind is Kind.SR:
            status, text = ran("dsrdump", path)
            said += [text] if status or "Imaging Measurement Report" not in text else []
        if kind is Kind.GSPS and dcmpschk:
            status, text = ran("dcmpschk", path)
            said += [text] if status or "Test passed" not in text or "absent" in text else []
        if said:
            complaints[str(kind)] = said
    return complaints


def where(found: SourceFindings, headers: dict[str, Dataset], number: int) -> np.ndarray:
    """The places of a lesion's pixels as the headers of its images say."""
    places = []
    for image, plane in zip(found.images, found.mask, strict=True):
        ds = headers[image.sop_instance_uid]
        row, column = (np.array(ds.ImageOrientationPatient[at : at + 3], float) for at in (0, 3))
        rows, columns = np.nonzero(plane == number)
        steps = [columns[:, None] * float(ds.PixelSpacing[1]) * row, rows[:, None] * float(ds.PixelSpacing[0]) * column]
        places.append(np.array(ds.ImagePositionPatient, float) + steps[0] + steps[1])
    return in_order(np.concatenate(places))


@pytest.mark.checklist(1, 2)
@pytest.mark.parametrize("name", STOCK)
def test_validators_find_no_error(name: str, tmp_path: Path) -> None:
    assert judged(stock_results(name), tmp_path) == {}


@pytest.mark.checklist(1, 2, 31)
@pytest.mark.parametrize("name", BAD)
def test_validators_find_no_error_in_results_of_bad_headers(name: str, tmp_path: Path) -> None:
    results = BAD[name]().made()
    assert results
    assert judged(results, tmp_path, dcmpschk=name not in BEYOND_DCMPSCHK) == {}


@pytest.mark.checklist(16)
@pytest.mark.parametrize("name", RADIOGRAPHS)
def test_dcmqi_reads_the_mask_of_a_radiograph(name: str, tmp_path: Path) -> None:
    read = []
    for number, result in enumerate(each for each in stock_results(name) if each.kind is Kind.SEG):
        folder = tmp_path / str(number)
        folder.mkdir()
        read.append(volume_of(written([result], folder)[Kind.SEG], folder).voxels > 0)
    assert np.array_equal(sum(read) > 0, stock(name).findings.sources[0].mask > 0)


@pytest.mark.checklist(12, 16)
def test_dcmqi_reads_the_mask_of_a_series_where_it_was(tmp_path: Path) -> None:
    case = stock("mr")
    volume = volume_of(written(stock_results("mr"), tmp_path)[Kind.SEG], tmp_path)
    headers = {str(ds.SOPInstanceUID): ds for ds in case.sources[0].datasets}
    assert volume.points(1) == pytest.approx(where(case.findings.sources[0], headers, 1), abs=0.01)


@pytest.mark.checklist(16)
def test_dcmqi_reads_the_mask_of_a_multiframe_image(tmp_path: Path) -> None:
    volume = volume_of(written(stock_results("enhanced-mr"), tmp_path)[Kind.SEG], tmp_path)
    mask = stock("enhanced-mr").findings.sources[0].mask
    assert int((volume.voxels == 1).sum()) == int((mask == 1).sum())


@pytest.mark.checklist(3, 22)
@pytest.mark.parametrize("name", STOCK)
def test_dcmqi_reads_the_report(name: str, tmp_path: Path) -> None:
    path, told = written(stock_results(name), tmp_path)[Kind.SR], tmp_path / "told.json"
    status, said = ran("tid1500reader", "--inputDICOM", path, "--outputMetadata", told)
    assert status == 0, said
    groups = json.loads(told.read_text())["Measurements"]
    lesions = [lesion for source in stock(name).findings.sources for lesion in source.lesions]
    assert len([each for each in groups if "Finding" in each]) == len(lesions)
    for group in groups:
        assert group["TrackingUniqueIdentifier"].startswith("2.25.")
        assert group["measurementAlgorithmIdentification"]["AlgorithmName"] == MODEL.name
        assert group["measurementAlgorithmIdentification"]["AlgorithmVersion"] == MODEL.version


@pytest.mark.checklist(3, 28, 29)
@pytest.mark.parametrize("name", WITH_LESIONS)
def test_dcmqi_reads_the_sizes_that_were_measured(name: str, tmp_path: Path) -> None:
    path, told = written(stock_results(name), tmp_path)[Kind.SR], tmp_path / "told.json"
    status, said = ran("tid1500reader", "--inputDICOM", path, "--outputMetadata", told)
    assert status == 0, said
    read = {
        (item["quantity"]["CodeValue"], item["units"]["CodeValue"], round(float(item["value"]), 3))
        for group in json.loads(told.read_text())["Measurements"]
        for item in group["measurementItems"]
    }
    for source in stock(name).findings.sources:
        for size in (size for each in source.lesions for size in each.measurements):
            expected = float(f"{size.value:.5g}")
            assert (MEASUREMENTS[size.kind].value, UNITS[size.unit].value, round(expected, 3)) in read


@pytest.mark.checklist(3, 22)
@pytest.mark.parametrize("name", WITH_LESIONS)
def test_highdicom_reads_the_report_and_finds_each_lesion_by_its_tracking_uid(name: str, tmp_path: Path) -> None:
    paths = written(stock_results(name), tmp_path)
    report = hd.sr.srread(paths[Kind.SR])
    seg = hd.seg.segread(paths[Kind.SEG])
    for number in seg.segment_numbers:
        uid = seg.get_segment_description(number).tracking_uid
        content = report.content
        planar = content.get_planar_roi_measurement_groups(tracking_uid=uid)
        volumetric = content.get_volumetric_roi_measurement_groups(tracking_uid=uid)
        assert len(planar) + len(volumetric) == 1


@pytest.mark.checklist(20)
@pytest.mark.parametrize("body_part", sorted(UNPAIRED | set(BODY_PARTS)))
def test_a_side_is_stated_for_parts_that_have_one_only(body_part: str, tmp_path: Path) -> None:
    ds = read(next(each for each in stock_results("cr") if each.kind is Kind.SC))
    ds.BodyPartExamined = body_part
    if body_part in UNPAIRED:
        del ds.Laterality
    ds.save_as(tmp_path / "sc.dcm", enforce_file_format=True)
    assert errors_of(tmp_path / "sc.dcm") == []
