"""Phantom hands: contrasts that hold across sequences, no shortcut to the kind, and DICOM that reads back."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.volume import volume
from training.phantoms.hand import HandPatient, HandSeries, Plane, hand_patient
from training.phantoms.hand_dicom import datasets, write
from training.phantoms.hand_lesions import DISTRACTORS
from training.phantoms.hand_tissue import HandKind
from training.phantoms.spine_tissue import Weight

COARSE = 1.3
"""Millimetres between voxels: quick, and good enough to look at signals."""
T1_T2 = ((Weight.T1, Plane.AXIAL), (Weight.T2, Plane.AXIAL))


def of_kind(kind: HandKind | None, count: int, protocol=T1_T2) -> list[HandPatient]:
    return [hand_patient(seed, kinds=(kind,), protocol=protocol, step_mm=COARSE) for seed in range(count)]


def brightness(series: HandSeries) -> float:
    """Of the tumour, as a share of the bright tissue of the series."""
    return float(np.median(series.pixels[series.truth > 0]) / np.percentile(series.pixels, 98))


def test_the_same_seed_is_the_same_patient_and_another_is_another() -> None:
    first, again, other = (hand_patient(seed, step_mm=COARSE) for seed in (3, 3, 4))
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(first.series, again.series, strict=True))
    assert first.series[0].pixels.shape != other.series[0].pixels.shape


def test_kinds_differ_in_signal_as_their_tissues_do() -> None:
    mean = {}
    for kind in HandKind:
        seen = [patient for patient in of_kind(kind, 8) if all(series.truth.any() for series in patient.series)]
        mean[kind] = np.median([[brightness(series) for series in patient.series] for patient in seen], axis=0)
    t1, t2 = ({kind: value[place] for kind, value in mean.items()} for place in (0, 1))
    assert t1[HandKind.LIPOMA] == max(t1.values())
    others = [value for kind, value in t1.items() if kind is not HandKind.GIANT_CELL]
    assert t1[HandKind.GANGLION] == min(others), "fluid is dark; haemosiderin darkens a giant-cell tumour still more"
    assert t2[HandKind.GANGLION] == max(t2.values())
    assert t2[HandKind.GIANT_CELL] == min(t2.values())


def test_a_tumour_is_seen_in_every_sequence_and_plane_of_its_patient() -> None:
    every = tuple((Weight.T1, plane) for plane in Plane)
    for patient in of_kind(HandKind.LIPOMA, 3, every):
        volumes = [(series.truth > 0).sum() * series.spacing_mm**2 * series.slice_mm for series in patient.series]
        assert max(volumes) < 1.6 * min(volumes)


def test_a_normal_hand_has_no_truth_and_distractors_all_the_same() -> None:
    patients = of_kind(None, 6)
    assert not any(series.truth.any() for patient in patients for series in patient.series)
    assert all(patient.distractors for patient in patients)
    assert {name for patient in patients for name in patient.distractors} <= set(DISTRACTORS)


def test_fat_suppression_darkens_a_lipoma_and_not_a_ganglion() -> None:
    both = ((Weight.T2, Plane.AXIAL), (Weight.FS, Plane.AXIAL))

    def ratio(kind: HandKind) -> float:
        pairs = [patient.series for patient in of_kind(kind, 5, both) if patient.series[0].truth.any()]
        return float(np.median([brightness(fs) / brightness(plain) for plain, fs in pairs if fs.truth.any()]))

    assert ratio(HandKind.LIPOMA) < 0.6 * ratio(HandKind.GANGLION)


def test_ten_trivial_features_do_not_tell_the_kind() -> None:
    """MODELS.md §4.4, test (a): a logistic regression on size, place and grey of the image stays below 0.75."""
    rows, kinds = [], []
    for seed in range(120):
        patient = hand_patient(seed, kinds=tuple(HandKind), protocol=T1_T2[:1], step_mm=COARSE)
        if patient.kind is not None and patient.series[0].truth.any():
            rows.append(trivial(patient.series[0]))
            kinds.append(int(patient.kind) - 1)
    features, truth = np.array(rows), np.array(kinds)
    assert len(truth) > 90
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    half = len(truth) * 2 // 3
    weights = regression(features[:half], truth[:half])
    said = (np.c_[features[half:], np.ones(len(truth) - half)] @ weights).argmax(axis=1)
    accuracy = float((said == truth[half:]).mean())
    print(f"accuracy on ten trivial features: {accuracy:.2f}, chance is 0.2")
    assert accuracy < 0.75


def trivial(series: HandSeries) -> list[float]:
    places = np.argwhere(series.truth > 0)
    middle = places.mean(axis=0) / np.array(series.truth.shape)
    grey = series.pixels.astype(np.float64)
    return [
        float(np.log(len(places) * series.spacing_mm**2 * series.slice_mm)),
        float(np.log((series.truth > 0).sum(axis=(1, 2)).max() * series.spacing_mm**2)),
        *middle.tolist(),
        float(grey.mean() / grey.max()),
        float(grey.std() / grey.mean()),
        float(np.percentile(grey, 50) / np.percentile(grey, 99)),
        float(len(grey)),
        series.spacing_mm,
    ]


def regression(features: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Softmax regression by gradient descent."""
    seen, wanted = np.c_[features, np.ones(len(features))], np.eye(5)[truth]
    weights = np.zeros((seen.shape[1], 5))
    for _ in range(600):
        grown = np.exp(seen @ weights - (seen @ weights).max(axis=1, keepdims=True))
        said = grown / grown.sum(axis=1, keepdims=True)
        weights -= 0.3 * (seen.T @ (said - wanted) / len(seen) + 0.01 * weights)
    return weights


@pytest.mark.parametrize("plane", list(Plane), ids=str)
def test_a_phantom_reads_back_as_the_volume_that_was_drawn(plane: Plane) -> None:
    patient = hand_patient(2, kinds=(HandKind.GANGLION,), protocol=((Weight.T1C, plane),), step_mm=COARSE)
    series, slices = patient.series[0], datasets(patient)[0]
    read = volume(slices)
    assert read.grid.shape == series.pixels.shape
    assert read.grid.spacing == pytest.approx((series.slice_mm, series.spacing_mm, series.spacing_mm), rel=1e-3)
    by_uid = {str(ds.SOPInstanceUID): place for place, ds in enumerate(slices)}
    order = [by_uid[image.sop_instance_uid] for image in read.images]
    assert np.array_equal(read.voxels, series.pixels[order].astype(np.float32))
    assert (slices[0].BodyPartExamined, slices[0].ContrastBolusAgent) == ("HAND", "Gadolinium of formulas")


def test_a_written_study_has_its_truth_beside_it(tmp_path: Path) -> None:
    home = write(hand_patient(5, kinds=(HandKind.SCHWANNOMA,), protocol=T1_T2, step_mm=COARSE), tmp_path)
    assert json.loads((home / "truth.json").read_text())["kind"] == "schwannoma"
    with np.load(home / "truth.npz") as truth:
        assert len(truth.files) == 2
        assert {int(value) for name in truth.files for value in np.unique(truth[name])} == {0, 5}
    assert len(list(home.glob("*/*.dcm"))) > 10
