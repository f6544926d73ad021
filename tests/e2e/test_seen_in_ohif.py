"""Results as a reader sees them: OHIF beside Orthanc, driven in headless Chromium, judged by the pixels of the screen.

Phantoms of which the lesion's place is known go by dcmsend to Orthanc, which routes them to the node; the answers come
back there and are opened in OHIF. `pytest --basetemp FOLDER` keeps the screenshots.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import highdicom
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from scipy import ndimage

from deploy.viewer.pages import ViewerUnavailable, pages
from deploy.viewer.server import Viewer
from tests.e2e import dcmtk
from tests.e2e.chromium import Chromium, Picture
from tests.e2e.node_process import Node
from tests.e2e.ohif import Box, Fit, Mask, Ohif, colourful
from tests.e2e.orthanc import Orthanc
from tests.e2e.processes import until
from tests.node.report.sr_reading import groups, items, texts
from training.phantoms.anatomy import View
from training.phantoms.dicom import Header, knee_dataset, save
from training.phantoms.knee import knee_phantom
from training.phantoms.lesions import Kind

SIZE = (1000, 720)
PLUGINS = Path("/usr/share/orthanc/plugins")
WORDS = {"SEG": "AI segmentation", "SR": "AI report"}
"""By modality: what the entry of a result says at the left of the screen."""
LEAST_OVERLAP, FARTHEST_PX = 0.85, 6
"""Of what the screen shows and the mask: it is drawn with a border of three pixels, half of it outside."""
FRAME_PX = 4
"""Of the viewport that is active; it is coloured."""
LEAST_LIKE = 0.9
"""Correlation of an image on the screen with its pixels."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Study:
    """What was sent, and what came back."""

    uid: str
    images: dict[str, Dataset]
    """The sources by SOP Instance UID."""
    truth: dict[str, Mask]
    """Where the lesion is, by SOP Instance UID of the images that show it."""
    results: dict[str, Dataset]
    """Modality → object."""

    def fit(self, ohif: Ohif) -> Fit:
        """Where the image that is shown lies on the screen."""
        image = self.images[ohif.image()]
        row_mm, column_mm = map(float, image.get("PixelSpacing") or image.ImagerPixelSpacing)
        return Fit(ohif.viewport(), int(image.Rows), int(image.Columns), row_mm, column_mm)

    def mask(self, sop_instance_uid: str) -> Mask:
        """What the Segmentation says of one image."""
        seg = highdicom.seg.Segmentation.from_dataset(self.results["SEG"])
        found = seg.get_pixels_by_source_instance(
            [sop_instance_uid], combine_segments=True, skip_overlap_checks=True, assert_missing_frames_are_empty=True
        )
        return np.asarray(found[0] > 0)


@pytest.fixture(scope="module")
def built() -> Path:
    """OHIF's pages."""
    try:
        return pages()
    except ViewerUnavailable as exc:
        pytest.skip(f"OHIF cannot be had: {exc}")


@pytest.fixture(scope="module")
def hospital(built: Path, new_node: Callable[..., Node], files: Path) -> Iterator[tuple[Node, Orthanc]]:
    if not any(PLUGINS.glob("libOrthancDicomWeb*")):
        pytest.skip("Orthanc has no DICOMweb (Debian package orthanc-dicomweb)")
    node = new_node({"settle": {"mr_quiet_s": 0.5}})
    pacs = Orthanc(
        files / "orthanc", ae_title="ARCHIVE", node=(node.ae_title, node.port), settings={"Plugins": [str(PLUGINS)]}
    )
    try:
        node.peer("archive", "ARCHIVE", pacs.port, may_send=True, results="own")
        node.start()
        yield node, pacs
    finally:
        pacs.stop()


@pytest.fixture(scope="module")
def ohif(built: Path, hospital: tuple[Node, Orthanc], files: Path) -> Iterator[Ohif]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed (Debian package chromium)")
    viewer = Viewer(built, hospital[1].http)
    viewer.start()
    try:
        with Chromium(program, files / "chromium", SIZE) as browser:
            yield Ohif(browser, viewer)
    finally:
        viewer.stop()


@pytest.fixture(scope="module")
def sent(hospital: tuple[Node, Orthanc], files: Path) -> Callable[[str], Study]:
    """Sends one phantom, once, and waits for its answer."""
    node, pacs = hospital

    @cache
    def send(name: str) -> Study:
        images, truth = PHANTOMS[name](files / name)
        paths = sorted((files / name).rglob("*.dcm"))
        dcmtk.dcmsend_files(pacs.port, paths, calling="MODALITY", to="ARCHIVE")
        return _answered(node, pacs, images, truth)

    return send


Made = tuple[list[Dataset], dict[str, Mask]]
Places = npt.NDArray[np.float64]


def _knee(folder: Path) -> Made:
    phantom = knee_phantom(18, view=View.AP, kind=Kind.LYTIC, rows=1200, columns=1000)
    ds = knee_dataset(phantom, Header("seen knee", patient_name="CANARY^Knee"))
    save(ds, folder / "1.dcm")
    return [ds], {str(ds.SOPInstanceUID): phantom.mask > 0}


PHANTOMS: dict[str, Callable[[Path], Made]] = {"knee": _knee}


def _answered(node: Node, pacs: Orthanc, images: list[Dataset], truth: dict[str, Mask]) -> Study:
    uid = str(images[0].StudyInstanceUID)
    until(lambda: node.number_of(uid), 60, lambda: f"it was not routed:\n{pacs.child.output()[-2000:]}")
    node.wait(uid, 120)
    sent = {str(ds.SOPInstanceUID): ds for ds in images}
    results = {}
    for stored in pacs.instances(uid):
        if stored.sop_instance_uid not in sent and stored.modality in ("SEG", "SR"):
            results[stored.modality] = pydicom.dcmread(BytesIO(pacs.file(stored.id)))
    return Study(uid, sent, truth, results)


@dataclass(frozen=True)
class Sight:
    """One look at the screen."""

    picture: Picture
    image: str
    """SOP Instance UID of the image that is shown."""
    fit: Fit
    own_words: Mask
    """Where OHIF writes its own words."""
    texts: list[str]
    """What is written beside annotations."""
    places: list[Box]
    """Where."""


@dataclass(frozen=True)
class Seen:
    """A study looked at: as it opens, its report, its segmentation."""

    study: Study
    plain: Sight
    report: Sight | None
    segmentation: Sight | None


@pytest.fixture(scope="module")
def seen(sent: Callable[[str], Study], ohif: Ohif, files: Path) -> Callable[[str], Seen]:
    """Looks at one study, once. The report comes before the segmentation: see deploy/ADMIN.md."""

    @cache
    def look(name: str) -> Seen:
        study = sent(name)
        begun = time.monotonic()
        ohif.open(study.uid, tuple(WORDS[kind] for kind in study.results))
        plain, report, segmentation = _sight(study, ohif, files / f"{name}-plain.png"), None, None
        if "SR" in study.results:
            ohif.pick_report(WORDS["SR"])
            report = _sight(study, ohif, files / f"{name}-report.png")
        if "SEG" in study.results:
            ohif.pick(WORDS["SEG"])
            ohif.press("Yes")
            segmentation = _sight(study, ohif, files / f"{name}-segmentation.png")
        print(f"{name}: looked at in {time.monotonic() - begun:.0f} s")
        return Seen(study, plain, report, segmentation)

    return look


def _sight(study: Study, ohif: Ohif, path: Path) -> Sight:
    """The screen once it is at rest, kept as a file."""
    picture = ohif.still()
    Image.fromarray(picture).save(path)
    image = ohif.image()
    return Sight(
        picture, image, study.fit(ohif), ohif.own_words(picture.shape), ohif.texts(), ohif.boxes("svg.svg-layer text")
    )


@pytest.mark.parametrize("name", PHANTOMS)
def test_the_overlay_lies_on_the_lesion_and_nowhere_else(name: str, seen: Callable[[str], Seen]) -> None:
    found = seen(name)
    sight = found.segmentation
    if sight is None:
        pytest.skip(f"the model that ships outlines nothing in the phantom of the {name}")
    assert _likeness(found.study, found.plain) > LEAST_LIKE
    drawn, shape = _overlay(sight), sight.picture.shape
    expected = sight.fit.projected(found.study.mask(sight.image), shape) & _where(sight)
    assert expected.any(), "OHIF shows an image on which nothing was segmented"
    assert not _overlay(found.plain).any(), "an image is grey where nothing is laid over it"
    overlap = float((drawn & expected).sum() / (drawn | expected).sum())
    farthest = float(ndimage.distance_transform_edt(~expected)[drawn].max())
    lesion = sight.fit.projected(found.study.truth[sight.image], shape)
    print(f"{name}: overlap of screen and mask {overlap:.3f}, farthest pixel {farthest:.1f}")
    assert overlap > LEAST_OVERLAP
    assert farthest < FARTHEST_PX
    assert (drawn & lesion).sum() > 0.5 * lesion.sum(), "the lesion of the phantom is not covered"
    assert (drawn & lesion).sum() > 0.4 * drawn.sum(), "most of the overlay lies beside the lesion of the phantom"
    assert _colour(sight.picture, drawn) == pytest.approx(_wanted_colour(found.study), abs=40)


@pytest.mark.parametrize("name", PHANTOMS)
def test_the_report_opens_with_its_outline_where_it_is_and_its_numbers(name: str, seen: Callable[[str], Seen]) -> None:
    found = seen(name)
    sight = found.report
    assert sight is not None, "there is no report"
    lesion = groups(found.study.results["SR"])[0]
    if not items(lesion, "region"):
        pytest.skip(f"the model that ships found no lesion in the phantom of the {name}, so no outline is to be seen")
    assert _likeness(found.study, sight) > LEAST_LIKE, "the image beneath is not the one that was sent"
    numbers = _as_ohif_writes(lesion)
    assert any(all(line in text for line in numbers) for text in sight.texts), (numbers, sight.texts)
    outline = items(lesion, "region")[0]
    assert outline.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == sight.image
    points = _along(sight.fit.points(np.array(outline.GraphicData).reshape(-1, 2)))
    away = ndimage.distance_transform_edt(~colourful(sight.picture))
    column, row = points.round().astype(int).T
    assert np.quantile(away[row, column], 0.95) < FARTHEST_PX, "the outline is not drawn where the report has it"


def test_the_answer_can_be_read_beside_the_image(seen: Callable[[str], Seen]) -> None:
    found = seen("knee")
    sight = found.report
    assert sight is not None, "there is no report"
    headline = texts(groups(found.study.results["SR"])[-1], "comment")[0]
    (place,) = (box for box, text in zip(sight.places, sight.texts, strict=True) if headline in text)
    viewport = sight.fit.viewport
    assert viewport.x <= place.x
    assert viewport.y <= place.y
    assert place.y + place.height <= viewport.y + viewport.height
    width_of_headline = place.width * len(headline) / max(len(line) for line in _lines(sight, headline))
    assert place.x + width_of_headline <= viewport.x + viewport.width


def _lines(sight: Sight, headline: str) -> list[str]:
    """The text that a headline is in."""
    return next(text for text in sight.texts if headline in text).splitlines()


def _likeness(study: Study, sight: Sight) -> float:
    """Correlation of the grey of the screen with the pixels of the image that is shown, where both are."""
    within = _where(sight) & ~colourful(sight.picture)
    pixels = study.images[sight.image].pixel_array.astype(np.float32)
    expected = sight.fit.projected(pixels, sight.picture.shape)[within]
    low, high = np.percentile(expected, (1, 99))
    return float(np.corrcoef(sight.picture[within].mean(axis=1), expected.clip(low, high))[0, 1])


def _overlay(sight: Sight) -> Mask:
    """What is coloured within the image and none of OHIF's own words."""
    return np.asarray(colourful(sight.picture) & _where(sight) & ~sight.own_words)


def _where(sight: Sight) -> Mask:
    """The part of the image that the viewport shows."""
    shape = sight.picture.shape
    return sight.fit.viewport.grown(-FRAME_PX).of(shape) & sight.fit.image.of(shape)


def _colour(picture: Picture, drawn: Mask) -> list[float]:
    """Of the border of an overlay, which hides the image beneath."""
    edge = drawn & ~ndimage.binary_erosion(drawn, iterations=2)
    return [float(each) for each in np.median(picture[edge], axis=0)]


def _wanted_colour(study: Study) -> list[float]:
    """That the Segmentation recommends, as RGB."""
    segment = study.results["SEG"].SegmentSequence[0]
    colour = highdicom.color.CIELabColor.from_dicom_value(list(segment.RecommendedDisplayCIELabValue))
    return [float(each) for each in colour.to_rgb()]


def _as_ohif_writes(group: Dataset) -> list[str]:
    """The first numbers of a group."""
    found = []
    for item in group.ContentSequence:
        if item.ValueType == "NUM":
            value = item.MeasuredValueSequence[0]
            unit = value.MeasurementUnitsCodeSequence[0].CodeValue
            found.append(f"{item.ConceptNameCodeSequence[0].CodeMeaning}: {float(value.NumericValue):.2f} {unit}")
    return found[:4]


def _along(points: Places) -> Places:
    """The border of a closed polygon on the screen, a place each pixel."""
    parts = []
    for first, second in pairwise(points):
        steps = max(2, int(np.hypot(*(second - first))))
        parts.append(first + (second - first) * np.linspace(0, 1, steps)[:, None])
    return np.concatenate(parts)
