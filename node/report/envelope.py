"""What every object of a run shares: series, equipment, moment, and the finishing touches after the library."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from pydicom.dataset import Dataset

from models.findings import ModelIdentity
from node.identity import MANUFACTURER, MODEL_NAME, VERSION, device_uid, serial_number, uid_of
from node.report.codes import ACQUISITION, PAIRED
from node.report.encode import ascii_text
from node.report.header import Anatomy
from node.report.kind import Kind
from node.report.naming import STUDY, About, series_description
from node.report.patient import text_of, timezone_of
from node.report.request import Request

FIRST_SERIES_NUMBER = 9001
SERIES_PER_RUN = 1000

_EQUIPMENT = {"Manufacturer": 64, "StationName": 16, "ManufacturerModelName": 64, "DeviceSerialNumber": 64}
"""Of the source, with the longest value of their kind (PS3.5 6.2); software versions are several, and tell no more."""
_ONLY_SOME = ("Content", "PresentationCreation")  # moments that not every kind of object knows


@dataclass(frozen=True, slots=True)
class Envelope:
    """One object's place in the study. Every object is alone in its series, for viewers show only the last of several;
    but for the images of an ADC map, which are a series as a scanner's."""

    kind: Kind
    order: int
    series_instance_uid: str
    sop_instance_uid: str
    series_number: int
    series_description: str
    """In ASCII."""
    description: bytes
    """The same with the words of the source, in the character set of the source."""
    moment: datetime
    serial_number: str
    device_uid: str
    """Of the observer: another one after every training."""
    software_versions: tuple[str, str]
    content_qualification: str
    report_uid: str
    """SOP Instance UID of the report that everybody gets: what is said of the study has one tracking UID everywhere."""


def envelope(
    kind: Kind, order: int, key: str, run_hash: str, model: ModelIdentity, request: Request, of: About = STUDY
) -> Envelope:
    """The envelope of one object.

    Parameters
    ----------
    order
        Its place among the results, from 0.
    key
        Which source it belongs to; empty for the study.
    run_hash
        The fingerprint of the inputs: with the number of the run, kind and key it decides the UIDs, so that they are
        the same after a crash and others when a result replaces one.
    of
        What it is about, for its description.
    """
    text, raw = series_description(kind, request.run, model, of)
    return Envelope(
        kind=kind,
        order=order,
        series_instance_uid=uid_of(run_hash, str(request.run), kind, key, "series"),
        sop_instance_uid=uid_of(run_hash, str(request.run), kind, key, "instance"),
        series_number=FIRST_SERIES_NUMBER + (request.run - 1) * SERIES_PER_RUN + order,
        series_description=text,
        description=raw,
        moment=request.now,
        serial_number=serial_number(request.installation),
        device_uid=device_uid(request.installation, model.weights_sha256),
        software_versions=(VERSION, ascii_text(f"{model.name} {model.version}", 64)),
        content_qualification=request.profile.content_qualification,
        report_uid=uid_of(run_hash, str(request.run), Kind.SR, "", "instance"),
    )


def place(cover: Envelope) -> dict[str, Any]:
    """The keyword arguments that all of highdicom's constructors share."""
    return {
        "series_instance_uid": cover.series_instance_uid,
        "series_number": cover.series_number,
        "sop_instance_uid": cover.sop_instance_uid,
        "instance_number": 1,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": MODEL_NAME,
        "software_versions": VERSION,
        "device_serial_number": cover.serial_number,
        "specific_character_set": None,
        "series_description": cover.series_description,
    }


def finish(ds: Dataset, cover: Envelope, source: Dataset, anatomy: Anatomy | None) -> None:
    """Set what the library leaves out or takes from the clock.

    Parameters
    ----------
    anatomy
        Given for images and presentation states, whose General Series module knows the region; None for documents.
    """
    day, hour = moment_in(cover.moment, timezone_of(source))
    for what in ("InstanceCreation", "Series", *(each for each in _ONLY_SOME if f"{each}Date" in ds)):
        setattr(ds, f"{what}Date", day)
        setattr(ds, f"{what}Time", hour)
    if "DateOfSecondaryCapture" in ds:
        ds.DateOfSecondaryCapture, ds.TimeOfSecondaryCapture = day, hour
    ds.SoftwareVersions = list(cover.software_versions)
    ds.DeviceUID = cover.device_uid
    ds.ContentQualification = cover.content_qualification
    ds.pop("ContributingEquipmentSequence", None)
    if made_by := acquisition(source):
        ds.ContributingEquipmentSequence = [made_by]
    if "ContentLabel" in ds and "ContentCreatorName" not in ds:
        ds.ContentCreatorName = ""  # type 2 (PS3.3 Table 10-12), which the library leaves out where nobody is named
    if anatomy is not None:
        if anatomy.body_part:
            ds.BodyPartExamined = anatomy.body_part
        if ds.Modality != "SEG" and (anatomy.laterality or anatomy.body_part in PAIRED):
            ds.Laterality = anatomy.laterality  # of a SEG the segments say it, as dciodvfy demands


def acquisition(source: Dataset) -> Dataset | None:
    """What made the source, as an item of *Contributing Equipment Sequence* (0018,A001), PS3.3 C.12.1.1.

    None where the source names no manufacturer in characters that every set contains: the item must name one.
    """
    item = Dataset()
    for keyword, longest in _EQUIPMENT.items():
        if stated := ascii_text(text_of(source, keyword), longest).strip():
            setattr(item, keyword, stated)
    if "Manufacturer" not in item:
        return None
    purpose = Dataset()
    purpose.CodeValue, purpose.CodingSchemeDesignator, purpose.CodeMeaning = ACQUISITION[:3]
    item.PurposeOfReferenceCodeSequence = [purpose]
    return item


def moment_in(now: datetime, offset: str) -> tuple[str, str]:
    """Date and time in the zone that the source declares: *Timezone Offset From UTC* rules every time of an object."""
    if now.tzinfo is not None and offset:
        sign = -1 if offset[0] == "-" else 1
        now = now.astimezone(timezone(sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))))
    return now.strftime("%Y%m%d"), now.strftime("%H%M%S")
