"""What is looked at in OHIF: a study for each system, of which it is known where the lesion is, and the bundles that
answer them.

The knee is a phantom, answered by the bundle that ships. The others are made, with one bright lesion off their middle,
and tiny networks that take what is bright for tumour, so that what is to be seen is sure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from models.stack_card import NeedSpec
from tests.e2e.ohif import Mask
from tests.e2e.processes import PROJECT
from tests.models import hand_nets, spine_nets, stack_nets, stacks
from tests.node import hands, spines
from training.hand.bundle import NEEDS
from training.phantoms.anatomy import View
from training.phantoms.dicom import Header, knee_dataset, save
from training.phantoms.hand import Plane
from training.phantoms.knee import knee_phantom
from training.phantoms.lesions import Kind
from training.phantoms.spine_tissue import Weight

SHAPE, ODD = (9, 96, 80), (9, 97, 83)
DWI = {"ScanningSequence": ["SE", "EP"]}
SPACING = (4.0, 0.8, 0.8)
"""Square pixels: of others OHIF 3.13 draws the outlines of a report in the wrong place, see deploy/ADMIN.md."""
TURN = 14.0
"""Degrees by which the slices are tilted out of the axial plane."""


@dataclass(frozen=True)
class Made:
    """One study as it is sent."""

    images: list[Dataset]
    truth: dict[str, Mask]
    """Where the lesion is, by SOP Instance UID of the images that show it."""


def bundles(folder: Path) -> Path:
    """A folder with a bundle for every system."""
    folder.mkdir()
    (folder / "knee").symlink_to(PROJECT / "models" / "bundles" / "knee", target_is_directory=True)
    stack_nets.bundle(folder / "diffusion", stack_nets.DIFFUSION)
    stack_nets.bundle(folder / "limb", stack_nets.LIMB)
    needs: tuple[NeedSpec, ...] = NEEDS
    hand_nets.bundle(folder / "hand", hand_nets.with_needs(needs))
    spine_nets.bundle(folder / "spine")
    return folder


def knee() -> Made:
    """A radiograph of a knee with a lytic lesion."""
    phantom = knee_phantom(18, view=View.AP, kind=Kind.LYTIC, rows=1200, columns=1000)
    ds = knee_dataset(phantom, Header("seen knee", patient_name="CANARY^Knee"))
    return Made([ds], {str(ds.SOPInstanceUID): phantom.mask > 0})


def diffusion() -> Made:
    """A thigh at two b-values; the lesion is what stays bright."""
    stored, lesion = _limb()
    low = np.where(stored > 0, 600, 0).astype(np.int16)
    high = np.where(lesion, 560, low // 4).astype(np.int16)
    images = []
    for series, (b_value, pixels) in enumerate({0.0: low, 800.0: high}.items(), start=1):
        told = DWI | {"DiffusionBValue": b_value, "SeriesDescription": f"DWI tra b{b_value:g}"}
        images += stacks.single_frames(pixels, series=series, spacing=SPACING, turn=TURN, **told)
    images = _of_their_own(images, 1, "CANARY^Diffusion")
    return Made(images, _shown(images, lesion) | _shown(images[len(lesion) :], lesion))


def limb() -> Made:
    """A thigh in T1, given from its last slice to the first."""
    stored, lesion = _limb()
    images = _of_their_own(stacks.single_frames(stored, series=7, spacing=SPACING, turn=TURN), 2, "CANARY^Limb")
    return Made(images[::-1], _shown(images, lesion))


def odd_limb() -> Made:
    """The same as `limb` on planes that are no whole bytes as bits: of a BINARY segmentation of those Orthanc 1.10
    hands out no frames.
    """
    stored, lesion = _limb(ODD)
    images = _of_their_own(stacks.single_frames(stored, series=8, spacing=SPACING, turn=TURN), 3, "CANARY^Odd")
    return Made(images, _shown(images, lesion))


def hand() -> Made:
    """A hand in two planes, each with its own number of slices, rows and columns; one of them is whole bytes as bits,
    the other is not.
    """
    images, truth = [], {}
    for slices in hands.study((Weight.T1, Plane.CORONAL), (Weight.FS, Plane.AXIAL)):
        images += slices
        truth |= _shown(slices, hands.block(slices))
    for ds in images:
        ds.PatientName = "CANARY^Hand"
    return Made(images, truth)


def spine() -> Made:
    """A spine in two sequences on grids of their own; the lesion is a bright block, the answer a box around it."""
    drawn = (
        spines.Drawn("t1", number=1, lesion=(3, 4), box=(50, 40, 80, 60)),
        spines.Drawn("t2", number=2, lesion=(2, 3), box=(30, 70, 56, 96)),
    )
    images, truth = [], {}
    for one in drawn:
        slices = spines.classic(one, PatientName="CANARY^Spine")
        for ds in slices:
            ds.PixelSpacing = [0.8, 0.8]
            ds.file_meta = FileMetaDataset()
            ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        left, top, right, bottom = one.box
        mask = np.zeros((one.slices, one.rows, one.columns), dtype=bool)
        mask[list(one.lesion), top:bottom, left:right] = True
        images += slices
        truth |= _shown(slices, mask)
    return Made(images, truth)


STUDIES: dict[str, Callable[[], Made]] = {
    "knee": knee,
    "diffusion": diffusion,
    "limb": limb,
    "odd limb": odd_limb,
    "hand": hand,
    "spine": spine,
}
SEGMENTED = ("knee", "diffusion", "limb", "odd limb", "hand")


def written(made: Made, folder: Path) -> list[Path]:
    """The images as files."""
    return [save(ds, folder / f"{number:03d}.dcm") for number, ds in enumerate(made.images)]


def _limb(shape: tuple[int, int, int] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    """Stored values `(slices, rows, columns)` of a limb with a bright lesion, and where that is: an angle, which no
    turn and no mirror leaves as it is."""
    _, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]]
    inside = ((y - 48) / 44) ** 2 + ((x - 40) / 36) ** 2 < 1
    bone = (y - 58) ** 2 + (x - 46) ** 2 < 81
    stored = np.where(inside, np.where(bone, 180, 300) + (7 * x + 3 * y) % 40, 0)
    lesion = np.zeros(shape, dtype=bool)
    lesion[3:6, 20:44, 18:28] = lesion[3:6, 34:44, 18:42] = True
    return np.where(lesion, 1000, stored).astype(np.int16), lesion


def _of_their_own(images: list[Dataset], number: int, name: str) -> list[Dataset]:
    """The images as those of another study and patient."""
    for ds in images:
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
            setattr(ds, keyword, f"{ds[keyword].value}.{number}")
        ds.PatientName, ds.PatientID, ds.AccessionNumber = name, f"S{number}", f"A{number}"
    return images


def _shown(images: list[Dataset], mask: np.ndarray) -> dict[str, Mask]:
    """By SOP Instance UID, the planes of a mask that hold anything."""
    return {str(ds.SOPInstanceUID): plane for ds, plane in zip(images, mask, strict=False) if plane.any()}
