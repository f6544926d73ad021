"""Makes sagittal sequences of a spine as DICOM, each on its own grid: noise below a bright strip, with a bright block
where a lesion is."""

from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from node.headers import facts_of, read_header
from node.systems.protocol import Received
from tests.node.made_headers import SAGITTAL, header, item, on_the_wire

SEQUENCES = {
    "t1": {"SeriesDescription": "T1 TSE SAG", "ScanningSequence": "SE", "RepetitionTime": "600", "EchoTime": "12"},
    "t2": {"SeriesDescription": "T2 TSE SAG", "ScanningSequence": "SE", "RepetitionTime": "4000", "EchoTime": "90"},
    "fs": {
        "SeriesDescription": "T2 TSE FS SAG", "ScanningSequence": "SE", "RepetitionTime": "4000", "EchoTime": "80",
        "ScanOptions": "FS",
    },
    "t1c": {"SeriesDescription": "T1 +C SAG", "ScanningSequence": "SE", "RepetitionTime": "600", "EchoTime": "12"},
}  # fmt: skip
STUDY = "2.25.118059"


@dataclass(frozen=True)
class Drawn:
    """One sequence: where its slices and its lesion are."""

    name: str
    number: int = 1
    lesion: tuple[int, ...] = (3, 4)
    """Slices that show it, from right to left."""
    box: tuple[int, int, int, int] = (50, 40, 80, 60)
    """Left, top, right, bottom."""
    slices: int = 8
    rows: int = 128
    columns: int = 112
    step_mm: float = 4.0

    @property
    def series_uid(self) -> str:
        return f"{STUDY}.{self.number}"

    def uid(self, place: int) -> str:
        return f"{self.series_uid}.{place + 1}"

    def pixels(self) -> np.ndarray:
        stack = np.random.default_rng(self.number).uniform(100, 400, (self.slices, self.rows, self.columns))
        stack[:, :3] = 1000  # what every sequence has, so that noise is never the brightest
        left, top, right, bottom = self.box
        for place in self.lesion:
            stack[place, top:bottom, left:right] = 1000
        return stack.astype(np.uint16)

    def position(self, place: int) -> list[float]:
        return [place * self.step_mm, -40.0 - self.number, 60.0]


def classic(drawn: Drawn, **values: object) -> list[Dataset]:
    """One MR Image object per slice, as received in the order of the slices."""
    pixels = drawn.pixels()
    made = []
    for place in range(drawn.slices):
        ds = header("MR", **(_common(drawn) | SEQUENCES[drawn.name] | values))
        ds.SOPInstanceUID, ds.InstanceNumber = drawn.uid(place), place + 1
        ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "SE"]
        ds.ImageOrientationPatient, ds.ImagePositionPatient = SAGITTAL, drawn.position(place)
        ds.PixelSpacing, ds.SliceThickness = [0.9, 0.8], drawn.step_mm - 0.4
        ds.PixelData = pixels[place].tobytes()
        made.append(ds)
    return made


def enhanced(drawn: Drawn, **values: object) -> list[Dataset]:
    """The same slices as one Enhanced MR object, its frames from left to right."""
    contrast = drawn.name[:2].upper() if drawn.name != "fs" else "T2"
    places = range(drawn.slices)[::-1]
    per_frame = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=drawn.position(place))],
            FrameContentSequence=[item(StackID="1", InStackPositionNumber=n, DimensionIndexValues=[1, n])],
        )
        for n, place in enumerate(places, start=1)
    ]
    suppressed = item(SpectrallySelectedSuppression="FAT" if drawn.name == "fs" else "NONE")
    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=SAGITTAL)],
        PixelMeasuresSequence=[item(PixelSpacing=[0.9, 0.8], SliceThickness=drawn.step_mm - 0.4)],
        MRImageFrameTypeSequence=[item(AcquisitionContrast=contrast)],
        MRModifierSequence=[suppressed],
    )
    described = {"SeriesDescription": SEQUENCES[drawn.name]["SeriesDescription"]}
    ds = header("Enhanced MR", **(_common(drawn) | described | values))
    ds.SOPInstanceUID, ds.InstanceNumber = drawn.uid(0), 1
    ds.ImageType = ["ORIGINAL", "PRIMARY", contrast, "NONE"]
    ds.NumberOfFrames = drawn.slices
    ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = [shared], per_frame
    ds.PixelData = drawn.pixels()[list(places)].tobytes()
    return [ds]


def received(*series: list[Dataset]) -> dict[str, Received]:
    """As the analysing child gets them."""
    found = {}
    for ds in (each for slices in series for each in slices):
        data = on_the_wire(ds)
        header_of = read_header(data, ExplicitVRLittleEndian)
        facts = facts_of(header_of, "patient")
        found[facts.sop_instance_uid] = Received(header_of, facts, ExplicitVRLittleEndian, lambda data=data: data)
    return found


def _common(drawn: Drawn) -> dict[str, object]:
    return {
        "StudyInstanceUID": STUDY, "SeriesInstanceUID": drawn.series_uid, "SeriesNumber": drawn.number,
        "PatientName": "Phantom^Spine", "PatientAge": "045Y", "PatientBirthDate": "19800101", "PatientSex": "F",
        "StudyDate": "20260115", "StudyTime": "101500", "StudyID": "1", "AccessionNumber": "A1",
        "ReferringPhysicianName": "", "BodyPartExamined": "LSPINE", "FrameOfReferenceUID": f"{STUDY}.9",
        "PositionReferenceIndicator": "", "Rows": drawn.rows, "Columns": drawn.columns,
        "WindowCenter": "500", "WindowWidth": "1000",
    }  # fmt: skip
