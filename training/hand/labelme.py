"""Annotations of labelme, two readers of the same pictures made one (hand-deep-ht, section 3.2).

A folder holds one folder per patient, and in it pictures with the annotations of each reader beside them:

    millimetres.json
    patient-017/t1-axial-003.png
    patient-017/t1-axial-003.reader1.json
    patient-017/t1-axial-003.reader2.json

`millimetres.json` holds what pictures do not: {"spacing_mm": 0.3, "slice_mm": 3.3}.

The paper says that both readers' annotations were unified, and not how. Here a pixel is a tumour where a majority of
the readers says so, which for two is where both do; where they agree on a tumour and not on its kind, or only one of
them saw it at all, the picture is listed as disputed and left out until a third reader, or one of the two, decides.

Labelme's points are `(column, row)` with 0 at the outer edge of the first pixel.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, UnidentifiedImageError

from models.hand_card import CLASSES
from models.metrics import dice
from models.slices import normalise
from training.errors import DataFault
from training.hand.dataset import Case, Scan

AGREEING = 0.5
"""Two readers mean the same tumour from this Dice on."""
MILLIMETRES = "millimetres.json"
SUPERSAMPLED = 4
"""Per side of a pixel, when a polygon is filled."""
WORDS: Mapping[str, int] = {
    "ganglion": 1, "ganglion cyst": 1,
    "giant cell": 2, "giant cell tumor": 2, "giant cell tumour": 2, "gctts": 2, "gct": 2,
    "lipoma": 3,
    "haemangioma": 4, "hemangioma": 4,
    "schwannoma": 5, "neurilemmoma": 5,
}  # fmt: skip
"""Labels that readers use, in lower case, by class."""
_NAME = re.compile(r"(?P<weighting>t1c|t1|t2|fs|stir)-(?P<plane>axial|sagittal|coronal)-(?P<number>\d+)$")

Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Annotation:
    """One reader's polygons on one picture."""

    reader: str
    shape: tuple[int, int]
    polygons: tuple[tuple[int, npt.NDArray[np.float64]], ...]
    """Class and `(points, 2)` of each."""


@dataclass(frozen=True, slots=True)
class Unified:
    """What the readers say together."""

    mask: Mask
    """0, or the class."""
    dispute: str = ""
    """Why the picture must not be trained on, empty where the readers agree."""


def read_annotation(path: Path) -> Annotation:
    """One labelme file.

    Raises
    ------
    DataFault
        It cannot be read, or holds a label that is none of the five kinds or a shape that is no polygon.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        shape = int(told["imageHeight"]), int(told["imageWidth"])
        polygons = tuple(_polygon(each, path) for each in told["shapes"])
    except (OSError, KeyError, TypeError, ValueError) as exc:
        raise DataFault(f"{path} is no labelme file: {exc}. Save it again in labelme.") from exc
    reader = path.name.removesuffix(".json").rpartition(".")[2]
    return Annotation(reader, shape, polygons)


def _polygon(told: Mapping[str, object], path: Path) -> tuple[int, npt.NDArray[np.float64]]:
    word = str(told["label"]).strip().lower().replace("_", " ").replace("-", " ")
    if word not in WORDS:
        raise DataFault(f"{path}: the label {told['label']!r} is none of {', '.join(CLASSES[1:])}. Correct it.")
    points = np.array(told["points"], dtype=np.float64)
    if told.get("shape_type", "polygon") != "polygon" or points.ndim != 2 or len(points) < 3:
        raise DataFault(f"{path}: a {told.get('shape_type')} of {len(points)} points is no polygon. Draw it as one.")
    return WORDS[word], points


def drawn(annotation: Annotation) -> Mask:
    """The classes of the pixels that are at least half within a polygon; the later polygon wins."""
    rows, columns = annotation.shape
    mask = np.zeros(annotation.shape, dtype=np.uint8)
    for kind, points in annotation.polygons:
        fine = Image.new("1", (columns * SUPERSAMPLED, rows * SUPERSAMPLED))
        corners = [(float(x) * SUPERSAMPLED - 0.5, float(y) * SUPERSAMPLED - 0.5) for x, y in points]
        ImageDraw.Draw(fine).polygon(corners, fill=1)
        cells = np.asarray(fine, dtype=np.float32).reshape(rows, SUPERSAMPLED, columns, SUPERSAMPLED)
        mask[cells.mean(axis=(1, 3)) >= 0.5] = kind
    return mask


def unified(annotations: Sequence[Annotation]) -> Unified:
    """One mask from the annotations of all readers of a picture.

    Raises
    ------
    DataFault
        Without a reader, or with two who annotated pictures of different sizes.
    """
    if not annotations or len({each.shape for each in annotations}) != 1:
        raise DataFault("A picture needs annotations of one size, at least one. Look at the files beside it.")
    masks = [drawn(each) for each in annotations]
    votes = np.stack([[mask == kind for mask in masks] for kind in range(1, len(CLASSES))]).sum(axis=1)
    tumour = np.sum([mask > 0 for mask in masks], axis=0) * 2 > len(masks)
    kinds = votes.reshape(len(CLASSES) - 1, -1).sum(axis=1)
    mask = np.where(tumour, votes.argmax(axis=0) + 1, 0).astype(np.uint8)
    return Unified(mask, _dispute(masks, kinds))


def _dispute(masks: Sequence[Mask], kinds: npt.NDArray[np.integer]) -> str:
    if (kinds > 0).sum() > 1:
        return f"the readers name {' and '.join(CLASSES[int(place) + 1] for place in np.flatnonzero(kinds))}"
    if not kinds.any():
        return ""
    pairs = [(a > 0, b > 0) for place, a in enumerate(masks) for b in masks[:place] if a.any() or b.any()]
    worst = min((dice(a, b) for a, b in pairs), default=1.0)
    return "" if worst >= AGREEING else f"their outlines overlap with a Dice of {worst:.2f}"


def read_patients(folder: Path) -> tuple[tuple[Case, ...], tuple[str, ...]]:
    """The patients of a folder, and the pictures that the readers dispute, which are left out.

    Raises
    ------
    DataFault
    """
    spacing_mm, slice_mm = _millimetres(folder / MILLIMETRES)
    cases, disputes = [], []
    for home in sorted(path for path in folder.iterdir() if path.is_dir()):
        series: dict[tuple[str, str], list[tuple[npt.NDArray[np.float32], Mask]]] = {}
        for picture in sorted(home.glob("*.png")):
            told, one = _named(picture), unified([read_annotation(path) for path in _beside(picture)])
            grey = _grey(picture)
            if grey.shape != one.mask.shape:
                raise DataFault(
                    f"{picture} has {grey.shape} pixels, its annotations {one.mask.shape}. Export it again."
                )
            if one.dispute:
                disputes.append(f"{home.name}/{picture.name}: {one.dispute}")
            else:
                series.setdefault(told, []).append((grey, one.mask))
        if series:
            cases.append(_case(home.name, series, spacing_mm, slice_mm))
    if not cases:
        raise DataFault(f"{folder} holds no patient whose pictures the readers agree on.")
    return tuple(cases), tuple(disputes)


def _millimetres(path: Path) -> tuple[float, float]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return float(told["spacing_mm"]), float(told["slice_mm"])
    except (OSError, KeyError, TypeError, ValueError) as exc:
        raise DataFault(f'{path} must hold {{"spacing_mm": 0.3, "slice_mm": 3.3}} of the pictures: {exc}.') from exc


def _case(
    name: str,
    series: Mapping[tuple[str, str], Sequence[tuple[npt.NDArray[np.float32], Mask]]],
    spacing_mm: float,
    slice_mm: float,
) -> Case:
    scans = tuple(
        Scan(
            weighting,
            plane,
            np.rint(normalise(np.stack([grey for grey, _ in slices])) * 255.0).astype(np.uint8),
            np.stack([mask for _, mask in slices]),
            spacing_mm,
            slice_mm,
        )
        for (weighting, plane), slices in sorted(series.items())
    )
    kinds = {int(kind) for scan in scans for kind in np.unique(scan.mask) if kind}
    if len(kinds) > 1:
        told = " and ".join(CLASSES[kind] for kind in sorted(kinds))
        raise DataFault(f"{name} has {told}; the paper left out patients with several kinds. Take the patient out.")
    return Case(name, next(iter(kinds), 0), scans)


def _named(picture: Path) -> tuple[str, str]:
    found = _NAME.match(picture.stem)
    if found is None:
        raise DataFault(f"{picture}: name pictures WEIGHTING-PLANE-NUMBER.png, for example t1-axial-003.png.")
    return found["weighting"], found["plane"]


def _beside(picture: Path) -> list[Path]:
    paths = sorted(picture.parent.glob(f"{picture.stem}.*.json"))
    if not paths:
        raise DataFault(f"{picture} has no annotation beside it ({picture.stem}.READER.json).")
    return paths


def _grey(picture: Path) -> npt.NDArray[np.float32]:
    try:
        with Image.open(picture) as image:
            return np.asarray(image.convert("F"), dtype=np.float32)
    except (OSError, UnidentifiedImageError) as exc:
        raise DataFault(f"{picture} cannot be read: {exc}.") from exc
