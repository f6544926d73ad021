"""Results for real images: the X-ray files of the shared data, one picture from a public set wrapped, MR series."""

import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from models import images, spacing
from models.errors import ImageError
from models.findings import Answer, Findings, ImageRef, SourceFindings, Spacing, SpacingSource
from node.report.kind import Kind
from node.report.profile import Profile
from node.report.request import Request, Source
from tests.node.report.made_cases import MODEL, NOW, PROBABILITIES, Case, as_received, blob, bone, lesion, read
from tests.node.report.raw_bytes import raw
from tests.node.report.test_report_validators import judged, where, written
from tests.node.report.validators import volume_of
from training.phantoms.dicom import Header, picture_dataset

DATA = Path(__file__).parents[4] / "shared" / "data"
XRAY = {
    "extremity, RLE": "xray/cr-extremity-fuji-mono1/RG3_RLE.dcm",
    "extremity, JPEG 2000": "xray/cr-extremity-fuji-mono1/RG3_J2KI.dcm",
    "chest of 15 bits": "xray/cr-chest-philips-mono1-15bit/RG1_J2KI.dcm",
    "modality LUT": "xray/cr-modality-lut-sequence/CR-ModalitySequenceLUT.dcm",
    "small detector": "xray/dx-small-fuji-mono1/dx_image.dcm",
}
ALPHABETS = (
    *("arabic", "ascii", "cyrillic", "greek", "hebrew", "latin1", "latin2", "latin3", "latin4", "latin5"),
    *("shift-jis", "tis-620", "utf8"),
)

THEIR_TABLE = "LUT Descriptor number of bits = 16 but maximum LUT Data value is 0x3ff"
"""A fault of a modality LUT that the presentation state has to repeat."""


def opened(name: str) -> Dataset:
    """A file of the shared data; the test is skipped where that is not there."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path.name} of the shared data is not here: real images were not tested")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = pydicom.dcmread(path)
        return ds if "Rows" in ds else pydicom.dcmread(path, stop_before_pixels=True)  # one file ends too early


def shown(ds: Dataset) -> np.ndarray:
    """The picture to draw on; a made one where the pixels of the file cannot be decoded."""
    try:
        return images.radiograph(ds).display
    except ImageError:
        return bone(int(ds.Rows), int(ds.Columns))


def found_on(ds: Dataset, display: np.ndarray | None = None) -> Case:
    """The case of a lesion in the middle of a radiograph."""
    rows, columns = int(ds.Rows), int(ds.Columns)
    ruler = spacing.ruler(ds)
    image = ImageRef(str(ds.SOPInstanceUID))
    plane = blob(rows, columns, (0.5, 0.5), 0.15)
    found = SourceFindings(
        series_instance_uid=str(ds.SeriesInstanceUID),
        images=(image,),
        answer=Answer.MALIGNANT,
        probabilities=PROBABILITIES[Answer.MALIGNANT],
        mask=plane[None].astype(np.uint8),
        spacing=ruler.spacing,
        lesions=(lesion(1, Answer.MALIGNANT, [(image, plane)], ruler.spacing),),
        notes=ruler.notes,
    )
    findings = Findings(MODEL, found.answer, found.probabilities, (found,))
    return Case(findings, (Source((ds,), display),), Request(NOW))


def found_in(datasets: list[Dataset], spare: int = 1) -> Case:
    """The case of a lesion through the middle of a series, on all slices but `spare` at each end."""
    rows, columns = int(datasets[0].Rows), int(datasets[0].Columns)
    spaced = Spacing(*(float(each) for each in datasets[0].PixelSpacing), SpacingSource.CALIBRATED)
    refs = tuple(ImageRef(str(ds.SOPInstanceUID)) for ds in datasets)
    mask = np.zeros((len(datasets), rows, columns), np.uint8)
    mask[spare : len(datasets) - spare, blob(rows, columns, (0.5, 0.4), 0.2)] = 1
    told = lesion(1, Answer.BENIGN, [(ref, plane == 1) for ref, plane in zip(refs, mask, strict=True)], spaced)
    found = SourceFindings(
        series_instance_uid=str(datasets[0].SeriesInstanceUID),
        images=refs,
        answer=Answer.BENIGN,
        probabilities=PROBABILITIES[Answer.BENIGN],
        mask=mask,
        spacing=spaced,
        lesions=(told,),
    )
    findings = Findings(MODEL, found.answer, found.probabilities, (found,))
    return Case(findings, (Source(tuple(datasets)),), Request(NOW))


@pytest.mark.parametrize("name", XRAY.values(), ids=XRAY)
def test_a_real_radiograph_gets_four_valid_results_and_its_mask_back(name: str, tmp_path: Path) -> None:
    ds = opened(name)
    if raw(ds, "SOPInstanceUID") == b"999.999.01.23.45.6789":
        del ds[Tag("SOPInstanceUID")]
        ds.SOPInstanceUID = "1.2.826.0.1.3680043.8.498.5"  # no result could name it and be valid
    case = found_on(ds, shown(ds))
    results = case.made()
    assert [each.kind for each in results] == [Kind.SEG, Kind.GSPS, Kind.SC, Kind.SR]
    complaints = [line for lines in judged(results, tmp_path).values() for line in lines]
    assert [line for line in complaints if THEIR_TABLE not in line] == []
    volume = volume_of(written(results, tmp_path)[Kind.SEG], tmp_path)
    assert np.array_equal(volume.voxels, case.findings.sources[0].mask)
    for each in results:
        for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "AccessionNumber", "SpecificCharacterSet"):
            assert raw(read(each), keyword) == (raw(ds, keyword) or raw(read(each), keyword) or None)


def test_a_picture_from_a_public_set_wrapped_as_a_radiograph(tmp_path: Path) -> None:
    path = DATA / "btxrd256" / "images" / "IMG000346.jpg"
    if not path.exists():
        pytest.skip("the pictures of the shared data are not here: no real tumour was tested")
    ds = as_received(picture_dataset(path, Header("report", laterality="L"), shape=(900, 700)))
    results = found_on(ds, shown(ds)).made()
    assert len(results) == 4
    assert judged(results, tmp_path) == {}


def test_a_real_series_gets_its_mask_back_where_it_was(tmp_path: Path) -> None:
    folder = "sts-mr/dicom/STS_032/image"
    datasets = [opened(f"{folder}/{number:06d}.dcm") for number in range(20, 27)]
    case = found_in(datasets)
    results = case.made()
    assert judged(results, tmp_path) == {}
    volume = volume_of(written(results, tmp_path)[Kind.SEG], tmp_path)
    headers = {str(ds.SOPInstanceUID): ds for ds in datasets}
    assert volume.points(1) == pytest.approx(where(case.findings.sources[0], headers, 1), abs=0.01)


def test_an_illegal_uid_of_a_source_stops_no_result() -> None:
    ds = opened(XRAY["modality LUT"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case = found_on(ds)
    assert [each.kind for each in case.made()] == [Kind.SEG, Kind.GSPS, Kind.SR]


@pytest.mark.checklist(5)
@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_a_real_name_in_any_alphabet_leaves_as_the_bytes_that_came(alphabet: str) -> None:
    ds = opened(f"nasty/charsets/Lena-{alphabet}.dcm")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again = found_on(ds).asking(profile=Profile(kinds=frozenset({Kind.SEG, Kind.SR})))
    for each in again.made():
        assert raw(read(each), "PatientName") == raw(ds, "PatientName") != b""
        assert raw(read(each), "SpecificCharacterSet") == raw(ds, "SpecificCharacterSet")
