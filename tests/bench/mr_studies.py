"""One study of each MR system in the size that its limit is stated for, and the bundle that answers it.

The bundle is the one that ships, else tiny made networks: then the time is that of everything but the networks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from models import card
from node.config import BUNDLED_MODELS
from tests.e2e.processes import SHARED_DATA
from tests.models import hand_nets, spine_nets, stack_nets
from tests.models.stacks import body, single_frames
from training.hand.bundle import NEEDS
from training.phantoms import diffusion_dicom, hand_dicom, spine_dicom
from training.phantoms.diffusion import diffusion_patient
from training.phantoms.hand import HandKind, Plane, hand_patient
from training.phantoms.spine import Kind, spine_patient
from training.phantoms.spine_tissue import Weight

REAL_LIMB = SHARED_DATA / "sts-mr" / "dicom" / "STS_051" / "image"
DIFFUSION, HAND, SPINE, LIMB = 35, 20, 11, 40
"""Slices, of a sequence where there are several."""
SEQUENCES = (Weight.T1, Weight.T2, Weight.STIR, Weight.T1C)


@dataclass(frozen=True, slots=True)
class Measured:
    """One system on the bench."""

    system: str
    """Of its card."""
    what: str
    limit_s: float
    """From the last image to its results, without the settle wait."""
    make: Callable[[int], Sequence[Dataset]]
    """The study of a seed."""
    tiny: Callable[[Path], Path]
    """Writes tiny networks into a folder."""


def _diffusion(seed: int) -> list[Dataset]:
    patient = diffusion_patient(seed, tumours=1, b_values=(0.0, 800.0), slices=DIFFUSION)
    return diffusion_dicom.datasets(patient)


def _hand(seed: int) -> list[Dataset]:
    """One axial series, of which the middle slices are kept."""
    protocol = ((Weight.FS, Plane.AXIAL),)
    (slices,) = hand_dicom.datasets(hand_patient(seed, kinds=(HandKind.GANGLION,), protocol=protocol))
    return _middle(slices, HAND)


def _spine(seed: int) -> list[Dataset]:
    made = spine_dicom.datasets(spine_patient(seed, kind=Kind.MALIGNANT, weights=SEQUENCES))
    return list(chain.from_iterable(_middle(slices, SPINE) for slices in made))


def _limb(_seed: int) -> list[Dataset]:
    """A real thigh where there is one, else a drawn ball in a leg."""
    files = sorted(REAL_LIMB.glob("*.dcm"))
    if files:
        slices = sorted(map(pydicom.dcmread, files), key=lambda ds: float(ds.ImagePositionPatient[2]))
    else:
        slices = single_frames(body((LIMB, 256, 256), (15, 25), 30)[0], spacing=(4.0, 0.8, 0.8))
    return _middle(slices, LIMB)


def _middle(slices: list[Dataset], count: int) -> list[Dataset]:
    first = max(0, (len(slices) - count) // 2)
    return slices[first : first + count]


SYSTEMS = (
    Measured(
        "diffusion-unet", f"diffusion, {DIFFUSION} slices of b = 0 and 800", 2.0, _diffusion,
        lambda folder: stack_nets.bundle(folder, stack_nets.DIFFUSION),
    ),
    Measured(
        "hand-deep-ht", f"hand, {HAND} slices", 5.0, _hand,
        lambda folder: hand_nets.bundle(folder, hand_nets.with_needs(NEEDS)),
    ),
    Measured("spine-wff", f"spine, {len(SEQUENCES)} sequences of {SPINE} slices", 10.0, _spine, spine_nets.bundle),
    Measured("limb-unet", f"limb, {LIMB} slices", 3.0, _limb, stack_nets.bundle),
)  # fmt: skip


def shelf(folder: Path) -> dict[str, bool]:
    """A folder of bundles for all systems; by system, whether it is the one that ships."""
    folder.mkdir(parents=True, exist_ok=True)
    shipped = {bundle.card.system: bundle for bundle in reversed(card.bundles(BUNDLED_MODELS).sound)}
    for one in SYSTEMS:
        if one.system in shipped:
            source = shipped[one.system].folder
            (folder / source.name).symlink_to(source.resolve(), target_is_directory=True)
        else:
            one.tiny(folder / one.system)
    return {one.system: one.system in shipped for one in SYSTEMS}


def again(datasets: Sequence[Dataset]) -> list[Dataset]:
    """The same study under UIDs of its own, so that it is new to the node and to its PACS."""
    study, series = generate_uid(), dict[str, str]()
    for ds in datasets:
        ds.StudyInstanceUID, ds.SOPInstanceUID = study, generate_uid()
        ds.SeriesInstanceUID = series.setdefault(str(ds.SeriesInstanceUID), generate_uid())
    return list(datasets)


def voxels(datasets: Sequence[Dataset]) -> str:
    """How large its images are."""
    sizes = {(int(ds.Rows), int(ds.Columns)) for ds in datasets}
    return " and ".join(f"{rows}×{columns}" for rows, columns in sorted(sizes)[:2]) + (" ..." if len(sizes) > 2 else "")


def noise(shape: tuple[int, ...]) -> np.ndarray:
    """What a network is fed with where only its work counts."""
    return np.random.default_rng(1).random(shape, dtype=np.float32)
