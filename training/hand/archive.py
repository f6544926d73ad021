"""Labelled DICOM studies of hands: MR series with a segmentation (SEG) or a structure set (RTSTRUCT) of the tumour.

The kind of tumour is what the labels call it, in the words of labelme's readers (training/hand/labelme.py): "ganglion",
"giant cell", "lipoma", "haemangioma", "schwannoma". Series without a label are left out, for nobody looked; a study
named in normals.txt shows no tumour in any.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.hand_card import CLASSES
from training.archive.cases import patients
from training.archive.folder import Study
from training.archive.stacks import Labelled, labelled, square_mm, weighting
from training.errors import DataFault
from training.hand.dataset import Case, Scan
from training.hand.labelme import WORDS


def read_studies(folder: Path) -> tuple[Case, ...]:
    """Every patient of a folder; the studies of one patient are one case, so that no split divides them.

    Raises
    ------
    DataFault
    """
    return patients(folder, _case, lambda held, more: replace(held, scans=(*held.scans, *more.scans)), CLASSES)


def kind_of(said: Sequence[str]) -> int:
    """The kind that all labels name.

    Raises
    ------
    DataFault
        None is named, or several are.
    """
    named = {kind for words in said for label, kind in WORDS.items() if re.search(rf"\b{label}\b", _plain(words))}
    if len(named) != 1:
        found = " and ".join(CLASSES[kind] for kind in sorted(named)) or "none"
        raise DataFault(
            f"Its labels are to name one of {', '.join(CLASSES[1:])}; they name {found}. Write it into the label of "
            "the segment (0062,0005), or into the name of the region (3006,0026)."
        )
    return named.pop()


def _plain(words: str) -> str:
    return re.sub(r"[-_]+", " ", words.lower())


def _case(study: Study) -> Case:
    found, said = labelled(study)
    kind = 0 if study.is_normal else kind_of(said)
    return Case(study.name, kind, tuple(_scan(each, kind) for each in found))


def _scan(each: Labelled, kind: int) -> Scan:
    grid, header = each.stack.grid, each.header
    mask = (each.lesions > 0).astype(np.uint8) * np.uint8(kind)
    frame = str(header.get("FrameOfReferenceUID") or header.SeriesInstanceUID)
    return Scan(
        weighting(header), each.plane, each.grey, mask, square_mm(grid), float(grid.spacing[0]), grid,
        f"{header.StudyInstanceUID} {frame}",
    )  # fmt: skip
