"""What the bench sends: made images of the sizes that matter, as encoded data sets and as files for dcmtk's senders."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import ExplicitVRLittleEndian

from tests.bench.uids import uid

EXPLICIT_LE = str(ExplicitVRLittleEndian)
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
DX_IMAGE = "1.2.840.10008.5.1.4.1.1.1.1"


@dataclass(frozen=True, slots=True)
class Item:
    """One object to send: its UIDs and its encoded data set."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    data: bytes
    transfer_syntax_uid: str = EXPLICIT_LE


@dataclass(frozen=True, slots=True)
class Kind:
    """A size of image that the bench names in its tables."""

    name: str
    sop_class_uid: str
    modality: str
    rows: int
    columns: int


MR256 = Kind("MR 256²", MR_IMAGE, "MR", 256, 256)
MR512 = Kind("MR 512²", MR_IMAGE, "MR", 512, 512)
DX = Kind("DX 3000×4000", DX_IMAGE, "DX", 3000, 4000)


def made(kind: Kind, count: int, *, series: int = 1, seed: int = 0) -> list[Item]:
    """`count` images of one study, all different in every row, `series` of them going to one series each in turn."""
    noise = np.random.default_rng(seed).integers(0, 4096, kind.rows * kind.columns + count * 7, dtype="<u2")
    study = uid("study", seed, kind.name)
    return [_item(kind, study, number, number % series, noise) for number in range(count)]


def _item(kind: Kind, study: str, number: int, series: int, noise: np.ndarray) -> Item:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.SOPClassUID = kind.sop_class_uid
    dataset.SOPInstanceUID = uid(study, number)
    dataset.StudyDate, dataset.StudyTime = "20260102", "101112"
    dataset.AccessionNumber = "B1"
    dataset.Modality = kind.modality
    dataset.Manufacturer = "BENCH"
    dataset.StudyDescription = "BENCH"
    dataset.PatientName, dataset.PatientID = "BENCH^LOAD", "BENCH"
    dataset.PatientBirthDate, dataset.PatientSex = "19700101", "O"
    dataset.BodyPartExamined = "ABDOMEN"  # no model applies: the bench of receiving starts no analysis
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, uid(study, "series", series)
    dataset.StudyID, dataset.SeriesNumber, dataset.InstanceNumber = "1", str(series), str(number)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = kind.rows, kind.columns
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    start = number * 7
    dataset.PixelData = noise[start : start + kind.rows * kind.columns].tobytes()
    dataset["PixelData"].VR = "OW"
    return item_of(dataset)


def item_of(dataset: Dataset) -> Item:
    """A data set as it is sent."""
    return Item(dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.StudyInstanceUID, encoded(dataset))


def encoded(dataset: Dataset) -> bytes:
    """The data set in Explicit VR Little Endian, without file meta."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, dataset)
    return bytes(buffer.getvalue())


def written(items: list[Item], folder: Path) -> list[Path]:
    """The items as DICOM files, for senders that read files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, item in enumerate(items):
        path = folder / f"{number:05}.dcm"
        path.write_bytes(file_head(item.sop_class_uid, item.sop_instance_uid) + item.data)
        paths.append(path)
    return paths


def file_head(sop_class_uid: str, sop_instance_uid: str) -> bytes:
    """Preamble and file meta information (PS3.10 7.1) of an Explicit VR Little Endian file."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class_uid, sop_instance_uid
    meta.TransferSyntaxUID = EXPLICIT_LE
    meta.ImplementationClassUID = uid("bench")
    buffer = io.BytesIO()
    write_file_meta_info(buffer, meta, enforce_standard=True)
    return b"\0" * 128 + b"DICM" + buffer.getvalue()


def data_set_of(file: bytes) -> bytes:
    """The bytes after the file meta information of a DICOM file."""
    assert file[128:132] == b"DICM", "not a DICOM file"
    # (0002,0000) UL 4 stands first and counts the bytes of the group after it (PS3.10 7.1)
    assert file[132:140] == b"\x02\0\0\0UL\x04\0", "the file meta information does not begin with its group length"
    return file[144 + int.from_bytes(file[140:144], "little") :]
