"""MR studies that a model would like to answer but cannot, sent to a running node: each ends in a named outcome.

None gives a result, and none looks normal. The models are tiny made networks of limb, diffusion and spine; the studies
are small, and right but for what their name says.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from tests.bench import flood
from tests.bench.loads import item_of
from tests.e2e.node_process import Node
from tests.models import spine_nets, stack_nets
from tests.models.stacks import body, enhanced, single_frames
from tests.node import spines

SENDER = "SCANNER"
STORED, BALL = body()
LOW = np.where(STORED > 0, 4000, 0).astype(np.int16)
HIGH = (LOW * np.exp(-0.8 * np.where(BALL, 0.8, 1.6))).astype(np.int16)
DWI = {"ScanningSequence": ["SE", "EP"], "SeriesDescription": "dwi tra"}
SIEMENS = (0x0019, "SIEMENS MR HEADER", 0x0C, "IS")
_MISSING, _AMBIGUOUS, _GEOMETRY = "NOT_APPLICABLE_SEQUENCE_MISSING", "AMBIGUOUS_SEQUENCE", "REJECTED_GEOMETRY"


@dataclass(frozen=True)
class Bad:
    """A study, and what must become of it."""

    make: Callable[[], Iterable[Dataset]]
    outcome: str
    words: str
    """In the explanation."""


def weighted(pixels: np.ndarray, series: int, b_value: float | None, **more: object) -> list[Dataset]:
    """One b-value of a diffusion study, or one that says none."""
    told = {} if b_value is None else {"DiffusionBValue": float(b_value)}
    return single_frames(pixels, series=series, **(DWI | told | more))


def private(datasets: list[Dataset], b_value: int) -> list[Dataset]:
    """The same, saying another b-value where Siemens does."""
    group, creator, element, vr = SIEMENS
    for ds in datasets:
        ds.private_block(group, creator, create=True).add_new(element, vr, str(b_value))
    return datasets


def changed(datasets: list[Dataset], which: int, **values: object) -> list[Dataset]:
    """The same with one slice saying something else."""
    for keyword, value in values.items():
        setattr(datasets[which], keyword, value)
    return datasets


BAD = {
    "no b-values": Bad(lambda: weighted(LOW, 1, None) + weighted(HIGH, 2, None), _MISSING, "needs DWI b=600 to 1000"),
    "only the high b-value": Bad(lambda: weighted(HIGH, 1, 800), _MISSING, "needs DWI b=0 to 50"),
    "the same b-value twice": Bad(lambda: weighted(LOW, 1, 0) + weighted(HIGH, 2, 0), _MISSING, "b=600 to 1000"),
    "b-values that contradict each other": Bad(
        lambda: weighted(LOW, 1, 0) + private(weighted(HIGH, 2, 800), 400), _AMBIGUOUS, "contradict each other"
    ),
    "exchanged b-values": Bad(
        lambda: weighted(HIGH, 1, 0) + weighted(LOW, 2, 800), _AMBIGUOUS, "not the b-values of these images"
    ),
    "one slice": Bad(lambda: single_frames(STORED[:1]), "REJECTED_INCOMPLETE", "1 slice"),
    "a gap": Bad(lambda: [ds for n, ds in enumerate(single_frames(STORED)) if n != 2], _GEOMETRY, "missing"),
    "doubled slices": Bad(
        lambda: single_frames(STORED) + [_again(ds) for ds in single_frames(STORED)], _GEOMETRY, "at one place"
    ),
    "b-values on two grids": Bad(
        lambda: weighted(LOW, 1, 0) + weighted(HIGH, 2, 800, spacing=(4.0, 1.4, 1.4)), _GEOMETRY, "other voxels"
    ),
    "b-values on other slices": Bad(
        lambda: weighted(LOW, 1, 0) + weighted(HIGH, 2, 800, turn=25.0), _GEOMETRY, "whose slices are not those of"
    ),
    "a slice of another spacing": Bad(
        lambda: changed(single_frames(STORED), 2, PixelSpacing=[2.0, 2.0]), _GEOMETRY, "make no volume"
    ),
    "an Enhanced object in two planes": Bad(lambda: [_bent(enhanced(single_frames(STORED)))], _GEOMETRY, "planes"),
    "zero signal": Bad(
        lambda: weighted(LOW, 1, 0) + weighted(_speck(), 2, 800), "REJECTED_DECODE", "no signal above zero"
    ),
    "negative signal": Bad(
        lambda: weighted(LOW, 1, 0) + weighted(HIGH, 2, 800, intercept=-5000), "REJECTED_DECODE", "no signal above zero"
    ),
    "all black": Bad(lambda: single_frames(np.zeros_like(STORED)), "REJECTED_DECODE", "same value"),
    "a header of 65535 x 65535": Bad(
        lambda: [_huge(ds) for ds in single_frames(STORED)], "REJECTED_DECODE", "megapixels"
    ),
    "colour": Bad(lambda: [_colour(ds) for ds in single_frames(STORED)], "REJECTED_DECODE", "colour"),
    "a head": Bad(lambda: single_frames(STORED, BodyPartExamined="HEAD"), "NOT_APPLICABLE_BODYPART", "head"),
    "no body part": Bad(lambda: single_frames(STORED, BodyPartExamined=""), "NOT_APPLICABLE_BODYPART", "unknown body"),
    "only a localizer": Bad(
        lambda: single_frames(STORED, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
        "REJECTED_LOCALIZER_ONLY", "localizer",
    ),
    "a mosaic": Bad(
        lambda: weighted(LOW, 1, 0, ImageType=["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE", "MOSAIC"]),
        "REJECTED_MOSAIC", "mosaic",
    ),
}  # fmt: skip


def _again(ds: Dataset) -> Dataset:
    ds.SOPInstanceUID = generate_uid()
    return ds


def _bent(ds: Dataset) -> Dataset:
    frame = ds.PerFrameFunctionalGroupsSequence[3]
    frame.PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, 0.95, 0.31]
    return ds


def _speck() -> np.ndarray:
    """Nothing but one pixel."""
    pixels = np.zeros_like(HIGH)
    pixels[2, 30, 25] = 900
    return pixels


def _huge(ds: Dataset) -> Dataset:
    ds.Rows = ds.Columns = 65535
    return ds


def _colour(ds: Dataset) -> Dataset:
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PixelData = bytes(ds.Rows * ds.Columns * 3)
    return ds


@pytest.fixture(scope="module")
def node(new_node: Callable[..., Node], tmp_path_factory: pytest.TempPathFactory) -> Node:
    shelf = tmp_path_factory.mktemp("models")
    pair = stack_nets.DIFFUSION.partition('[[input.needs]]\nname = "adc"')
    stack_nets.bundle(shelf / "diffusion", pair[0] + pair[2].partition("\n\n")[2])
    stack_nets.bundle(shelf / "limb", stack_nets.LIMB)
    spine_nets.bundle(shelf / "spine")
    made = new_node({"work": {"models_folder": str(shelf)}, "settle": {"mr_quiet_s": 0.2, "mr_quiet_open_s": 0.5}})
    made.peer("scanner", SENDER, may_send=True)
    made.start()
    return made


def sent(node: Node, datasets: Iterable[Dataset]) -> str:
    """Send a study under a UID of its own; the UID."""
    study, items = generate_uid(), []
    for ds in datasets:
        ds.StudyInstanceUID, ds.PatientName = study, "CANARY^Bad"
        ds.SeriesInstanceUID, ds.SOPInstanceUID = f"{study[:50]}.{ds.SeriesNumber}", generate_uid()
        items.append(item_of(ds))
    assert set(flood.send(node.port, [items], calling=SENDER, called=node.ae_title).statuses) == {0}
    return str(study)


@pytest.mark.checklist(38)
def test_each_ends_in_its_outcome_without_a_result(node: Node) -> None:
    studies = {name: sent(node, bad.make()) for name, bad in BAD.items()}
    wrong = []
    for name, uid in studies.items():
        (outcome, told), bad = node.outcome(uid), BAD[name]
        print(f"{name}: {outcome}: {told}")
        if outcome != bad.outcome or bad.words not in told:
            wrong.append(f"{name}: {outcome}, not {bad.outcome} with {bad.words!r}: {told}")
    assert not list((node.data / "results").rglob("*.dcm")), "something was made of a study that has no answer"
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("age", [{"PatientAge": None, "PatientBirthDate": None}, {"PatientAge": "XXXY"}])
def test_a_spine_whose_age_is_not_known_is_answered_without_it_and_that_is_said(
    age: dict[str, object], node: Node
) -> None:
    drawn = spines.Drawn("t2", 2)
    outcome, told = node.outcome(sent(node, spines.classic(drawn, **({"PatientBirthDate": None} | age))))
    assert outcome == "FAILED_SEND", "answered, and no peer here takes the answer"
    assert "age of the patient is not known" in told


def test_the_good_study_is_answered(node: Node) -> None:
    study = node.ended(sent(node, weighted(LOW, 1, 0) + weighted(HIGH, 2, 800) + single_frames(STORED, series=3)))
    assert (study["answer"], study["outcome"]) == ("tumour", "FAILED_SEND"), study["explanation"]
