"""The MR studies that the demonstration sends: phantoms of every system, a real limb where one lies beside the project.

A study is sent only where a bundle answers it; whatever is left out is said.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from pydicom.dataset import Dataset

from deploy.demonstration.samples import VERSION, Sample, made, sample_of
from models.card import bundles
from training.phantoms import diffusion_dicom, hand_dicom, limb_dicom, spine_dicom
from training.phantoms.diffusion import diffusion_patient
from training.phantoms.diffusion_dicom import Dialect
from training.phantoms.hand import HandKind, hand_patient
from training.phantoms.limb import limb_patient
from training.phantoms.spine import Kind, spine_patient

SPINE, DIFFUSION, LIMB, HAND = "spine-wff", "diffusion-unet", "limb-unet", "hand-deep-ht"
RADIOGRAPHS = "knee-seg-unet"
"""Answers the samples of deploy/demonstration/samples.py."""
REAL_LIMB = "STS_051"
"""Of sts-mr; in the test part of training/stacks/case.py, so the model that ships has not seen it."""


@dataclass(frozen=True, slots=True)
class Phantom:
    """A study to draw."""

    key: str
    name: str
    truth: str
    system: str
    """Which card answers it."""
    make: Callable[[], Sequence[Dataset]]


def _spine(seed: int, kind: Kind) -> Callable[[], list[Dataset]]:
    return lambda: list(chain.from_iterable(spine_dicom.datasets(spine_patient(seed, kind=kind))))


def _diffusion(seed: int, dialect: Dialect) -> Callable[[], list[Dataset]]:
    return lambda: diffusion_dicom.datasets(diffusion_patient(seed, tumours=1), dialect)


def _hand(seed: int, kind: HandKind) -> Callable[[], list[Dataset]]:
    return lambda: list(chain.from_iterable(hand_dicom.datasets(hand_patient(seed, kinds=(kind,)))))


def _limb(seed: int) -> Callable[[], list[Dataset]]:
    return lambda: limb_dicom.datasets(limb_patient(seed, tumours=1, region="thigh"))


PHANTOMS = (
    Phantom("spine-malignant", "phantom spine", "malignant", SPINE, _spine(90001, Kind.MALIGNANT)),
    Phantom("spine-benign", "phantom spine", "benign", SPINE, _spine(90002, Kind.BENIGN)),
    Phantom("spine-normal", "phantom spine", "normal", SPINE, _spine(90003, Kind.NORMAL)),
    Phantom("hand-ganglion", "phantom hand", "ganglion", HAND, _hand(90001, HandKind.GANGLION)),
    Phantom("hand-lipoma", "phantom hand", "lipoma", HAND, _hand(90002, HandKind.LIPOMA)),
    Phantom("dwi", "phantom DWI", "tumour", DIFFUSION, _diffusion(90001, Dialect.PUBLIC)),
    Phantom("dwi-enhanced", "phantom DWI, Enhanced", "tumour", DIFFUSION, _diffusion(90002, Dialect.ENHANCED)),
    Phantom("limb", "phantom thigh", "tumour", LIMB, _limb(91016)),
)
"""The model of the limb learned from real MR and outlines few tumours of phantoms; of this one it outlines half."""


def mr_samples(folder: Path, shared_data: Path, models: Path) -> tuple[list[Sample], list[str]]:
    """The MR studies for the bundles in `models`, made below `folder` once; a sentence for whatever is left out."""
    shelf = bundles(models)
    there = {bundle.card.system: bundle.card.name for bundle in shelf.sound}
    found = [
        made(folder / VERSION / each.key, each.name, each.truth, each.make) for each in PHANTOMS if each.system in there
    ]
    shown = {each.system for each in PHANTOMS}
    left_out = [
        f"{system}: no bundle in {models}, so its sample studies are not sent." for system in sorted(shown - set(there))
    ]
    limb = sorted((shared_data / "sts-mr" / "dicom" / REAL_LIMB / "image").glob("*.dcm"))
    if LIMB in there and limb:
        found.append(sample_of(f"thigh {REAL_LIMB}, real", "malignant", tuple(limb)))
    elif LIMB in there:
        left_out.append(f"{LIMB}: its real sample study lies in ../shared/data/sts-mr, which is absent.")
    unknown = set(there) - shown - {RADIOGRAPHS}
    left_out += [f"{there[system]}: there is no sample study for {system}." for system in sorted(unknown)]
    return found, [*left_out, *(damaged.reason for damaged in shelf.damaged)]
