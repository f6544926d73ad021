"""The layouts that are read: BTXRD, shrunk with masks as pictures or of full size with polygons; and labelled DICOM.

btxrd256: `labels.csv` (image_id, cls), `images/NAME.jpg` or `.png`, `masks/NAME.png`.
Public (Yao et al., Scientific Data 2025): `dataset.xlsx`, or the same as `dataset.csv`, with image_id (a file's name),
tumor, benign and malignant as 0 or 1; `images/NAME.jpeg` or `.jpg`; `Annotations/NAME.json` of labelme for each tumour,
whose polygons are the outlines; its rectangles, the same lesions again, count only where no polygon was drawn.
DICOM: training/knee/archive.py.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from models.polygons import filled
from training.archive.folder import holds_dicom
from training.errors import DataFault
from training.knee import archive
from training.knee.nets import CLASSES
from training.sheets import table
from training.sources import Source, read

LABELS = "labels.csv"
SHEETS = ("dataset.csv", "dataset.xlsx")
ENDINGS = (".jpg", ".png", ".jpeg")

Grey = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Layout:
    """What a folder holds."""

    words: str
    """For a card."""
    rows: tuple[tuple[str, int], ...]
    """Name and class of each image, in the order of the table; of DICOM the name is the path within the folder."""
    mask: Callable[[str], Grey]
    """The tumours of an image `(rows, columns)`, of any size that has its shape: above half of the highest value."""
    patients: tuple[str, ...] = ()
    """Whose each image is, where that is told: of DICOM. It is never written anywhere."""


def layout_of(folder: Path) -> Layout:
    """Which of them it is.

    Raises
    ------
    DataFault
        Neither, or a table that says something impossible.
    """
    return read(folder, SOURCES)


def grey(folder: Path, name: str) -> Grey:
    """One image as it lies in the collection: `(rows, columns)`, of its own size; 0..255 where it is a picture."""
    if (folder / name).is_file():
        return archive.pixels(folder / name)
    paths = [folder / "images" / f"{name}{ending}" for ending in ENDINGS]
    return picture(next((path for path in paths if path.is_file()), paths[0]))


def picture(path: Path) -> Grey:
    """A file as grey values.

    Raises
    ------
    DataFault
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("L"), dtype=np.float32)
    except OSError as exc:
        raise DataFault(
            f"{path} cannot be read as an image: {exc}. Fetch it again, or strike it from the table."
        ) from exc


def _shrunk(folder: Path) -> Layout:
    path = folder / LABELS
    rows = table(path)
    wrong = [row["image_id"] for row in rows if row["cls"] not in CLASSES]
    if wrong:
        raise DataFault(f"{path}: {wrong[0]} has a class that is none of {', '.join(CLASSES)}. Correct the column cls.")
    named = tuple((row["image_id"], CLASSES.index(row["cls"])) for row in rows)
    return Layout("btxrd256, 256 x 256, 8 bit", named, lambda name: picture(folder / "masks" / f"{name}.png"))


def _public(folder: Path) -> Layout:
    path = next(folder / name for name in SHEETS if (folder / name).is_file())
    rows = tuple((Path(row.get("image_id", "")).stem, _class(row, path)) for row in table(path))
    return Layout("the public collection in full size", rows, lambda name: outlined(folder / "Annotations", name))


def _dicom(folder: Path) -> Layout:
    images = {image.path.relative_to(folder).as_posix(): image for image in archive.read_images(folder)}
    return Layout(
        "DICOM",
        tuple((name, image.kind) for name, image in images.items()),
        lambda name: images[name].mask(),
        tuple(image.patient for image in images.values()),
    )


def _class(row: Mapping[str, str], path: Path) -> int:
    try:
        tumour, benign, malignant = (bool(float(row[key] or 0)) for key in ("tumor", "benign", "malignant"))
    except (KeyError, ValueError) as exc:
        raise DataFault(
            f"{path}: {row.get('image_id', 'a line')} has no 0 or 1 in tumor, benign and malignant ({exc}). Correct it."
        ) from exc
    if tumour != (benign or malignant) or (benign and malignant):
        raise DataFault(
            f"{path}: {row.get('image_id')} says tumor {int(tumour)}, benign {int(benign)}, malignant "
            f"{int(malignant)}, which no image can be. Correct it."
        )
    return CLASSES.index("malignant" if malignant else "benign" if benign else "normal")


def outlined(folder: Path, name: str) -> Grey:
    """The polygons of an annotation, filled on the size that it was drawn on.

    Raises
    ------
    DataFault
        There is none, or it outlines nothing.
    """
    path = folder / f"{name}.json"
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        shape = int(told["imageHeight"]), int(told["imageWidth"])
        drawn = [(each["shape_type"], np.array(each["points"], dtype=np.float64)) for each in told["shapes"]]
    except (OSError, KeyError, TypeError, ValueError) as exc:
        raise DataFault(f"{path} is no labelme file: {exc}. Fetch it again.") from exc
    polygons = [points for kind, points in drawn if kind == "polygon" and len(points) >= 3]
    polygons = polygons or [_corners(points) for kind, points in drawn if kind == "rectangle" and len(points) == 2]
    mask = np.zeros(shape, dtype=np.bool_)
    for points in polygons:  # one by one: two lesions that overlap cut no hole
        mask |= filled([points - 0.5], shape)  # labelme counts from the outer edge of the first pixel
    if not mask.any():
        raise DataFault(f"{path} outlines nothing, and the table calls the image a tumour. Correct one of them.")
    return mask.astype(np.float32)


def _corners(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    (left, top), (right, bottom) = points
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


SOURCES = (
    Source(f"{LABELS} with images/ and masks/", lambda folder: (folder / LABELS).is_file(), _shrunk),
    Source(
        f"{' or '.join(SHEETS)} with images/ and Annotations/ (the public BTXRD)",
        lambda folder: any((folder / name).is_file() for name in SHEETS),
        _public,
    ),
    Source("DICOM files of radiographs (CR, DX), each with a SEG or an RTSTRUCT", holds_dicom, _dicom),
)
