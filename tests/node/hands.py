"""Series of a hand as the phantoms write them, with pixels in which what is to be found is known: one bright block."""

import numpy as np
from pydicom.dataset import Dataset
from scipy import ndimage

from training.phantoms.hand import Plane, hand_patient
from training.phantoms.hand_dicom import datasets
from training.phantoms.spine_tissue import Weight

PROTOCOL = (
    (Weight.T1, Plane.CORONAL),
    (Weight.T2, Plane.AXIAL),
    (Weight.FS, Plane.SAGITTAL),
    (Weight.T1C, Plane.AXIAL),
)
BRIGHT = {"ganglion": 1000, "lipoma": 600}
"""What tests/models/hand_nets.py takes for it; one voxel in a hundred of each series has 1000."""


def study(*protocol: tuple[Weight, Plane], kind: str = "ganglion") -> list[list[Dataset]]:
    """One patient through several sequences, each with a block of `kind` in its middle, and air around its flesh."""
    made = datasets(hand_patient(5, kinds=(None,), protocol=protocol or PROTOCOL, step_mm=2.6))
    for number, slices in enumerate(made):
        masks = block(slices)
        flesh = ndimage.binary_dilation(masks, np.ones((3, 25, 25), dtype=bool))
        pixels = np.random.default_rng(number).uniform(100, 350, masks.shape) * flesh
        if kind != "ganglion":
            pixels[:, ::9, ::9] = 1000 * flesh[:, ::9, ::9]
        pixels[masks] = BRIGHT[kind]
        for ds, plane in zip(slices, pixels, strict=True):
            ds.PixelData = plane.astype("<u2").tobytes()
    return made


def block(slices: list[Dataset]) -> np.ndarray:
    """`(slices, rows, columns)` in the order of the data sets: where the block is."""
    mask = np.zeros((len(slices), slices[0].Rows, slices[0].Columns), dtype=bool)
    middle = [side // 2 for side in mask.shape]
    high, wide = (max(4, round(12.0 / float(each))) for each in slices[0].PixelSpacing)
    mask[middle[0] - 1 : middle[0] + 2, middle[1] : middle[1] + high, middle[2] - wide // 2 : middle[2] + wide // 2] = (
        True
    )
    return mask
