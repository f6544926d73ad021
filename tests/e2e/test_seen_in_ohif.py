"""Results as a reader sees them: OHIF beside Orthanc, driven in headless Chromium, judged by the pixels of the screen.

Studies of which the lesion's place is known go by dcmsend to Orthanc, which routes them to the node; the answers come
back there and are opened in OHIF. `pytest --basetemp FOLDER` keeps the screenshots.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from scipy import ndimage

from deploy.viewer.pages import ViewerUnavailable, pages
from deploy.viewer.server import Viewer
from tests.e2e import dcmtk
from tests.e2e.chromium import Chromium
from tests.e2e.node_process import Node
from tests.e2e.ohif import Ohif, colourful
from tests.e2e.orthanc import Orthanc
from tests.e2e.processes import until
from tests.e2e.seen import Seen, Study, along, as_ohif_writes, colour_of, look, masked, wanted_colour
from tests.e2e.seen_studies import SEGMENTED, STUDIES, Made, bundles, written
from tests.node.report.sr_reading import groups, items, texts

SIZE = (1000, 720)
PLUGINS = Path("/usr/share/orthanc/plugins")
REPORT = "AI report"
LEAST_OVERLAP, FARTHEST_PX = 0.85, 6
"""Of what the screen shows and the mask: it is drawn with a border of three pixels, half of it outside."""
LEAST_LIKE = 0.9
"""Correlation of an image on the screen with its pixels."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


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
    node = new_node({"work": {"models_folder": str(bundles(files / "bundles"))}, "settle": {"mr_quiet_s": 0.5}})
    pacs = Orthanc(
        files / "orthanc",
        ae_title="ARCHIVE",
        node=(node.ae_title, node.port),
        settings={"Plugins": [str(PLUGINS)]},
    )
    try:
        node.peer("archive", "ARCHIVE", pacs.port, may_send=True, results="own", profile="ohif")
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
    """Sends one study, once, and waits for its answer."""
    node, pacs = hospital

    @cache
    def send(name: str) -> Study:
        made = STUDIES[name]()
        dcmtk.dcmsend_files(pacs.port, written(made, files / name), calling="MODALITY", to="ARCHIVE")
        return _answered(node, pacs, made)

    return send


def _answered(node: Node, pacs: Orthanc, made: Made) -> Study:
    uid = str(made.images[0].StudyInstanceUID)
    until(lambda: node.number_of(uid), 60, lambda: f"it was not routed:\n{pacs.child.output()[-2000:]}")
    study = node.ended(uid, 120)
    assert (study["state"], study["outcome"]) == ("delivered", "OK_FINDINGS"), study
    sent = {str(ds.SOPInstanceUID): ds for ds in made.images}
    came = [
        pydicom.dcmread(BytesIO(pacs.file(stored.id)))
        for stored in pacs.instances(uid)
        if stored.sop_instance_uid not in sent
    ]
    results: dict[str, list[Dataset]] = {}
    for ds in sorted(came, key=lambda ds: int(ds.SeriesNumber)):
        results.setdefault(ds.Modality, []).append(ds)
    return Study(uid, sent, made.truth, results)


@pytest.fixture(scope="module")
def seen(sent: Callable[[str], Study], ohif: Ohif, files: Path) -> Callable[[str], Seen]:
    """Looks at one study, once. The report comes before the segmentation: see deploy/ADMIN.md."""

    @cache
    def look_at(name: str) -> Seen:
        study = sent(name)
        begun = time.monotonic()
        segs, (capture, *_) = study.results.get("SEG", []), study.results["OT"]
        ohif.open(study.uid, (REPORT, *(str(ds.SeriesDescription) for ds in (*segs, capture))))
        if shows_lesion := study.like(ohif.image(), has_lesion=True):
            ohif.go_to(shows_lesion)
        found = Seen(study, look(study, ohif, files / "seen" / f"{name}-plain.png"))
        ohif.pick_report(REPORT)
        found.report = look(study, ohif, files / "seen" / f"{name}-report.png")
        for number, seg in enumerate(segs, start=1):
            ohif.pick(str(seg.SeriesDescription))
            ohif.press("Yes")
            path = files / "seen" / f"{name}-segmentation-{number}"
            sight, beside = look(study, ohif, path.with_suffix(".png")), None
            if other := study.like(sight.image, has_lesion=False):
                ohif.go_to(other)
                beside = look(study, ohif, path.with_name(f"{path.name}-beside.png"))
            found.segmentations.append((seg, sight, beside))
        if not segs:
            ohif.pick(str(capture.SeriesDescription))
            ohif.shows(str(capture.SOPInstanceUID))
            found.capture = capture, look(study, ohif, files / "seen" / f"{name}-capture.png", capture)
        print(f"{name}: looked at in {time.monotonic() - begun:.0f} s")
        return found

    return look_at


@pytest.mark.parametrize("name", SEGMENTED)
def test_the_overlay_lies_on_the_lesion_and_nowhere_else(name: str, seen: Callable[[str], Seen]) -> None:
    found = seen(name)
    assert found.plain.likeness(found.study.images[found.plain.image]) > LEAST_LIKE
    assert not found.plain.overlay.any(), "an image is grey where nothing is laid over it"
    assert found.segmentations, "nothing was segmented"
    for seg, sight, beside in found.segmentations:
        expected = sight.projected(masked(seg, sight.image))
        assert expected.any(), "OHIF shows an image on which nothing was segmented"
        drawn = sight.overlay
        overlap = float((drawn & expected).sum() / (drawn | expected).sum())
        farthest = float(ndimage.distance_transform_edt(~expected)[drawn].max())
        print(f"{name}: overlap of screen and mask {overlap:.3f}, farthest pixel {farthest:.1f}")
        assert overlap > LEAST_OVERLAP
        assert farthest < FARTHEST_PX
        assert sight.image in found.study.truth, "the slice that it opens at shows no lesion"
        lesion = sight.projected(found.study.truth[sight.image])
        assert (drawn & lesion).sum() > 0.5 * lesion.sum(), "the lesion is not covered"
        assert (drawn & lesion).sum() > 0.4 * drawn.sum(), "most of the overlay lies beside the lesion"
        assert colour_of(sight.picture, drawn) == pytest.approx(wanted_colour(seg), abs=40)
        if beside is not None:
            assert beside.image not in found.study.truth
            assert not (beside.overlay & beside.projected(masked(seg, sight.image))).any(), "it lies on another slice"


def test_the_list_of_studies_says_what_each_is(sent: Callable[[str], Study], ohif: Ohif) -> None:
    (image, *_) = sent(SEGMENTED[0]).images.values()
    ohif.browser.open(ohif.viewer.url)
    said = "document.body?.innerText ?? ''"
    until(lambda: str(image.StudyDescription) in ohif.browser.ask(said), 90, lambda: str(ohif.browser.ask(said)))


@pytest.mark.parametrize("name", SEGMENTED)
def test_a_volume_whose_planes_are_no_whole_bytes_as_bits_has_a_byte_for_each_pixel(
    name: str, sent: Callable[[str], Study]
) -> None:
    for seg in sent(name).results["SEG"]:
        is_odd = seg.Rows * seg.Columns % 8 and name != "knee"
        assert seg.SegmentationType == ("FRACTIONAL" if is_odd else "BINARY")


def test_the_overlay_lies_on_every_slice_of_a_volume_whose_planes_are_no_whole_bytes_as_bits(
    seen: Callable[[str], Seen], ohif: Ohif, files: Path
) -> None:
    study = seen("odd limb").study
    (seg,) = study.results["SEG"]
    ohif.open(study.uid, (str(seg.SeriesDescription),))
    ohif.pick(str(seg.SeriesDescription))
    ohif.press("Yes")
    ohif.still()
    assert len(study.truth) > 1
    for number, image in enumerate(study.truth):
        ohif.go_to(image)
        sight = look(study, ohif, files / "seen" / f"odd-limb-slice-{number}.png")
        assert sight.image == image, "it scrolled on of itself"
        expected = sight.projected(masked(seg, image))
        overlap = float((sight.overlay & expected).sum() / (sight.overlay | expected).sum())
        assert overlap > LEAST_OVERLAP


def test_each_series_of_a_study_has_its_own_segmentation_that_can_be_told_by_its_name(
    seen: Callable[[str], Seen],
) -> None:
    found = seen("hand")
    assert len(found.segmentations) == 2
    for seg, sight, _ in found.segmentations:
        source = found.study.images[sight.image]
        assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID
        assert str(seg.SeriesDescription).startswith(f"AI segmentation S{source.SeriesNumber} ")


@pytest.mark.parametrize("name", STUDIES)
def test_the_report_opens_with_its_outline_where_it_is_and_its_numbers(name: str, seen: Callable[[str], Seen]) -> None:
    found = seen(name)
    sight = found.report
    assert sight is not None
    lesion = groups(found.study.results["SR"][0])[0]
    assert sight.likeness(found.study.images[sight.image]) > LEAST_LIKE, "the image beneath is another than was sent"
    numbers = as_ohif_writes(lesion)
    assert any(all(line in text for line in numbers) for text in sight.texts), (numbers, sight.texts)
    outline = items(lesion, "region")[0]
    assert outline.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == sight.image
    assert sight.image in found.study.truth
    points = along(sight.fit.points(np.array(outline.GraphicData).reshape(-1, 2)))
    away = ndimage.distance_transform_edt(~colourful(sight.picture))
    column, row = points.round().astype(int).T
    assert np.quantile(away[row, column], 0.95) < FARTHEST_PX, "the outline is not drawn where the report has it"


def test_the_answer_can_be_read_beside_the_image(seen: Callable[[str], Seen]) -> None:
    found = seen("knee")
    sight = found.report
    assert sight is not None
    headline = texts(groups(found.study.results["SR"][0])[-1], "comment")[0]
    (place,) = (box for box, text in zip(sight.places, sight.texts, strict=True) if headline in text)
    viewport = sight.fit.viewport
    assert viewport.x <= place.x
    assert viewport.y <= place.y
    assert place.y + place.height <= viewport.y + viewport.height
    width_of_headline = place.width * len(headline) / max(len(line) for line in sight.lines_with(headline))
    assert place.x + width_of_headline <= viewport.x + viewport.width


def test_boxes_that_are_no_segmentation_are_seen_in_the_picture(seen: Callable[[str], Seen]) -> None:
    found = seen("spine")
    assert "SEG" not in found.study.results
    assert found.capture is not None
    capture, sight = found.capture
    assert sight.image == capture.SOPInstanceUID
    pixels = capture.pixel_array.astype(np.float32)
    within = sight.within & ~sight.own_words
    for channel in range(3):
        expected = sight.fit.projected(pixels[:, :, channel], sight.picture.shape)[within]
        shown = sight.picture[:, :, channel][within].astype(np.float32)
        assert np.corrcoef(shown, expected)[0, 1] > LEAST_LIKE
    coloured = sight.fit.projected(colourful(capture.pixel_array), sight.picture.shape) & within
    assert (sight.overlay & coloured).sum() > 0.5 * coloured.sum(), "box and words in colour are not there"
