"""The radiographs that the demonstration sends: phantoms always, real ones where they lie beside the project."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from models.findings import Answer
from training.phantoms.anatomy import View
from training.phantoms.chest import chest_phantom
from training.phantoms.dicom import CHEST, Header, image_dataset, knee_dataset, picture_dataset, save
from training.phantoms.knee import knee_phantom
from training.phantoms.lesions import Kind

VERSION = "4"
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
    drawn = [made(folder / VERSION / key, name, truth, make) for key, name, truth, make in PHANTOMS]
    return drawn + _real(folder / VERSION, shared_data)


def made(folder: Path, name: str, truth: str, make: Callable[[], Sequence[Dataset]]) -> Sample:
    """The sample in `folder`, which is put in place only when it is whole."""
    if not folder.is_dir():
        draft = folder.with_name(folder.name + ".part")
        shutil.rmtree(draft, ignore_errors=True)
        for number, ds in enumerate(make(), start=1):
            save(ds, draft / f"{number:04d}.dcm")
        draft.rename(folder)
    return sample_of(name, truth, tuple(sorted(folder.glob("*.dcm"))))


def sample_of(name: str, truth: str, files: tuple[Path, ...]) -> Sample:
    """A study that lies there as DICOM files."""
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


REAL: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("normal", (("IMG002382", "AP"),)),
    ("benign", (("IMG001770", "AP"),)),
    ("malignant", (("IMG000214", "AP"), ("IMG000216", "LL"))),
)
"""Knees of btxrd256 by class, one study each: images and their views. All lie in the test blocks of training/split.py,
so the model that ships has not seen them."""


def _real(folder: Path, shared_data: Path) -> list[Sample]:
    """Real radiographs: a few of btxrd256 wrapped as DX, and a CR of a lower leg as its maker wrote it."""
    pictures = shared_data / "btxrd256" / "images"
    found = []
    for answer, images in REAL:
        if all((pictures / f"{image}.jpg").is_file() for image, _ in images):
            name = f"radiograph {images[0][0]}" + (", two views" if len(images) > 1 else "")
            found.append(made(folder / images[0][0], name, answer, _wrapped(pictures, images)))
    cr = shared_data / "xray" / "cr-extremity-fuji-mono1" / "RG3_JPLL.dcm"
    if cr.is_file():
        found.append(sample_of("CR of a lower leg, JPEG lossless", "unknown", (cr,)))
    return found


def _wrapped(pictures: Path, images: tuple[tuple[str, str], ...]) -> Callable[[], list[Dataset]]:
    """The pictures are squeezed to a square; most radiographs of limbs are 5 to 4, so they are stretched to that."""

    def make() -> list[Dataset]:
        datasets = []
        for number, (image, view) in enumerate(images, start=1):
            header = Header(
                f"demonstration {image}",
                study_key=f"demonstration {images[0][0]}",
                view=view,
                instance_number=number,
                patient_name="Public^Radiograph",
                manufacturer="BTXRD as DX",
                comment="The spacing is assumed.",
                spacing_mm=0.14,
            )
            datasets.append(picture_dataset(pictures / f"{image}.jpg", header, shape=(2000, 1600)))
        return datasets

    return make
