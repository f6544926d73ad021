"""What a PACS really sends: whole studies with objects that are no images, and many at once."""

import os
from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset

from storage import studies
from storage.engine import reading
from tests.bench import flood
from tests.bench.loads import EXPLICIT_LE, MR_IMAGE, Item, Kind, encoded, made, uid
from tests.bench.memory import sampling
from tests.e2e.processes import memory_mb, until

from .conftest import OURS, SENDER, House

NO_IMAGES = {
    "report": "1.2.840.10008.5.1.4.1.1.88.33",
    "presentation state": "1.2.840.10008.5.1.4.1.1.11.1",
    "key objects": "1.2.840.10008.5.1.4.1.1.88.59",
    "raw data": "1.2.840.10008.5.1.4.1.1.66",
    "PDF": "1.2.840.10008.5.1.4.1.1.104.1",
}
SMALL = Kind("MR 128²", MR_IMAGE, "MR", 128, 128)
ASSOCIATIONS, IMAGES = 20, 100


def no_image(sop_class: str) -> Item:
    """An object of a study that holds nothing but this."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, uid("object", sop_class)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = uid("study", sop_class), uid("series", sop_class)
    ds.PatientID, ds.PatientName, ds.Modality = "4711", "Doe^Jane", "OT"
    return Item(sop_class, ds.SOPInstanceUID, ds.StudyInstanceUID, encoded(ds), EXPLICIT_LE)


@pytest.mark.checklist(43)
@pytest.mark.parametrize("name", NO_IMAGES)
def test_what_is_no_image_is_taken_with_success_and_counts_as_none(new_house: Callable[..., House], name: str) -> None:
    house = new_house()
    item = no_image(NO_IMAGES[name])
    assert flood.send(house.port, [[item]], calling=SENDER, called=OURS).statuses == (0,)
    assert house.kept() == {item.sop_instance_uid: item.data}

    def arrived() -> list[studies.Arrival]:
        with reading(house.engine) as conn:
            return studies.arriving(conn)

    (arrival,) = until(arrived, 10, "the object has its row")
    assert (arrival.instance_count, arrival.image_count) == (1, 0)


@pytest.mark.checklist(50)
def test_twenty_associations_of_a_hundred_images_are_stored_whole_in_bounded_memory(
    new_house: Callable[..., House],
) -> None:
    house = new_house()
    loads = [made(SMALL, IMAGES, seed=seed) for seed in range(ASSOCIATIONS)]
    sent_mb = sum(len(item.data) for load in loads for item in load) / 1e6
    before = memory_mb(os.getpid())
    with sampling(os.getpid()) as seen:
        assert flood.send(house.port, loads, calling=SENDER, called=OURS).statuses == (0,) * ASSOCIATIONS * IMAGES
    assert house.kept() == {item.sop_instance_uid: item.data for load in loads for item in load}
    assert max(seen) - before < sent_mb / 2, f"{max(seen) - before:.0f} MB more were held of {sent_mb:.0f} MB sent"

    def rows() -> bool:
        with reading(house.engine) as conn:
            return len(list(studies.held(conn))) == ASSOCIATIONS * IMAGES

    until(rows, 60, "every image has its row")
