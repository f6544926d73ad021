"""The studies that the demonstration sends: phantoms always, real radiographs where they lie beside the project."""

import csv
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from models.findings import Answer
from training.phantoms.anatomy import View
from training.phantoms.chest import chest_phantom
from training.phantoms.dicom import CHEST, Header, image_dataset, knee_dataset, picture_dataset, save
from training.phantoms.knee import knee_phantom
from training.phantoms.lesions import Kind

VERSION = "1"
"""Raised when the samples change, so that those of an earlier run are made anew."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One study."""

    name: str
    truth: str
    """What is known of it, in a word or two."""
    files: tuple[Path, ...]
    study_instance_uid: str


def samples(folder: Path, shared_data: Path) -> list[Sample]:
    """The sample studies as DICOM files below `folder`; made once, found there the next time."""
    made = [_made(folder / VERSION / key, name, truth, make) for key, name, truth, make in PHANTOMS]
    return made + _real(folder / VERSION, shared_data)


def _made(folder: Path, name: str, truth: str, make: Callable[[], Sequence[Dataset]]) -> Sample:
    """The sample in `folder`, which is put in place only when it is whole."""
    if not folder.is_dir():
        draft = folder.with_name(folder.name + ".part")
        shutil.rmtree(draft, ignore_errors=True)
        for number, ds in enumerate(make(), start=1):
            save(ds, draft / f"{number}.dcm")
        draft.rename(folder)
    return _sample(name, truth, tuple(sorted(folder.glob("*.dcm"))))


def _sample(name: str, truth: str, files: tuple[Path, ...]) -> Sample:
    return Sample(name, truth, files, str(dcmread(files[0], stop_before_pixels=True).StudyInstanceUID))


def _knees(key: str, *images: tuple[int, View, Kind | None]) -> Callable[[], list[Dataset]]:
    """A study of one phantom per seed."""

    def make() -> list[Dataset]:
        datasets = []
        for number, (seed, view, kind) in enumerate(images, start=1):
            answer = None if kind else Answer.NORMAL
            phantom = knee_phantom(seed, view=view, kind=kind, answer=answer)
            header = Header(f"{key} {number}", study_key=f"demonstration {key}", instance_number=number)
            datasets.append(knee_dataset(phantom, header))
        return datasets

    return make


def _chest() -> list[Dataset]:
    header = Header("demonstration chest", body_part=CHEST, view="PA", spacing_mm=0.2, patient_name="Phantom^Chest")
    return [image_dataset(chest_phantom(3), 12, header)]


PHANTOMS: tuple[tuple[str, str, str, Callable[[], Sequence[Dataset]]], ...] = (
    ("normal", "phantom knee, two views", "normal", _knees("normal", (101, View.AP, None), (105, View.LATERAL, None))),
    ("benign", "phantom knee", "benign", _knees("benign", (1, View.AP, Kind.LYTIC))),
    ("malignant", "phantom knee", "malignant", _knees("malignant", (17, View.AP, Kind.OSTEOBLASTIC))),
    ("chest", "phantom chest", "not a knee", _chest),
)


def _real(folder: Path, shared_data: Path) -> list[Sample]:
    """Real radiographs: one of each class of btxrd256 wrapped as DX, and a CR of a lower leg as its maker wrote it."""
    found = []
    for answer, image in _chosen(shared_data / "btxrd256"):
        picture = shared_data / "btxrd256" / "images" / f"{image}.jpg"
        make = _wrapped(picture, image)
        found.append(_made(folder / image, f"radiograph {image} as DX", answer, make))
    cr = shared_data / "xray" / "cr-extremity-fuji-mono1" / "RG3_JPLL.dcm"
    if cr.is_file():
        found.append(_sample("CR of a lower leg (JPEG lossless)", "unknown", (cr,)))
    return found


def _wrapped(picture: Path, image: str) -> Callable[[], list[Dataset]]:
    """The pictures are squeezed to a square; most radiographs of limbs are 5 to 4, so they are stretched to that."""
    header = Header(
        f"demonstration {image}", patient_name="Public^Radiograph", spacing_mm=0.14, manufacturer="BTXRD as DX"
    )
    return lambda: [picture_dataset(picture, replace(header, comment="spacing assumed"), shape=(2000, 1600))]


def _chosen(folder: Path) -> list[tuple[str, str]]:
    """Class and name of a few images: knees where that is known, of tumours those whose mask is large enough to see."""
    if not (folder / "labels.csv").is_file():
        return []
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = []
    for answer, count in (("normal", 1), ("benign", 2), ("malignant", 2)):
        fitting = [r for r in rows if r["cls"] == answer and r["site"] in ("", "Knee")]
        fitting.sort(key=lambda r: (answer != "normal") * -int(r["mask_px"] or 0))
        chosen += [(answer, r["image_id"]) for r in fitting[:count]]
    return chosen
