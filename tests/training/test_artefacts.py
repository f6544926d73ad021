"""Artefacts of phantoms: the same patient with and without, each with the mark by which physicists know it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from training import cli
from training.phantoms import diffusion_dicom, hand_dicom, limb_dicom, spine_dicom
from training.phantoms.artefacts import Artefact, drawn, spoiler
from training.phantoms.diffusion import diffusion_patient
from training.phantoms.diffusion_dicom import Dialect
from training.phantoms.hand import hand_patient
from training.phantoms.hand_tissue import HandKind
from training.phantoms.limb import limb_patient
from training.phantoms.spine import Kind, spine_patient
from training.phantoms.spine_tissue import Weight

Floats = npt.NDArray[np.float32]
SIDE = 96


def _disc(radius: float = 24.0) -> Floats:
    rows, columns = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    return np.asarray(np.hypot(rows, columns) < radius, dtype=np.float32)[None].repeat(3, axis=0) * 100.0


def _spoiled(artefact: Artefact, image: Floats | None = None) -> Floats:
    return spoiler(artefact, np.random.default_rng(5))(_disc() if image is None else image)


def _outside(image: Floats, radius: float) -> Floats:
    rows, columns = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    return image[:, np.hypot(rows, columns) > radius]


def test_motion_makes_ghosts_along_the_rows_and_keeps_the_place() -> None:
    moved = _spoiled(Artefact.MOTION)
    assert _outside(moved, 30.0).max() > 2.0, "ghosts outside the body"
    beside = slice(0, SIDE // 2 - 27), slice(SIDE // 2 + 27, SIDE)
    assert all(moved[:, :, columns].max() < 1e-3 for columns in beside), "none along the columns"
    overlap = ((moved[0] > 50) & (_disc()[0] > 0)).sum() / (_disc()[0] > 0).sum()
    assert overlap > 0.9, "the truth still lies on what it outlines"


def test_gibbs_ringing_overshoots_at_an_edge_by_up_to_nine_percent_a_side() -> None:
    ringing = _spoiled(Artefact.GIBBS)
    assert 103.0 < ringing.max() < 130.0
    assert 1.0 < _outside(ringing, 28.0).max() < 25.0


def test_wrap_lays_a_second_body_over_one_side_only() -> None:
    folded = _spoiled(Artefact.WRAP) - _disc()
    sides = folded[:, : SIDE // 2].sum(), folded[:, SIDE // 2 :].sum()
    assert folded.min() >= 0.0
    assert min(sides) < 1e-3 < max(sides)
    assert folded[_disc() > 0].max() > 40.0, "it reaches the body"


def test_noise_is_a_sixth_to_a_ninth_of_the_signal() -> None:
    grain = (_spoiled(Artefact.NOISE) - _disc())[0]
    assert 100.0 / 9.5 < grain.std() < 100.0 / 5.5


def test_a_coil_to_one_side_lets_the_signal_fall() -> None:
    lit = _spoiled(Artefact.COIL, np.full((1, SIDE, SIDE), 100.0, dtype=np.float32))[0]
    assert 2.9 < lit.max() / lit.min() < 5.1
    assert np.allclose(lit, lit[:, :1]), "along the rows only"


@pytest.mark.parametrize("artefact", [Artefact.GIBBS, Artefact.WRAP, Artefact.COIL])
def test_images_of_one_acquisition_share_geometry(artefact: Artefact) -> None:
    """Else b-values would disagree on where the coil lay, and the ADC would be of the artefact."""
    spoil = spoiler(artefact, np.random.default_rng(5))
    assert np.array_equal(spoil(_disc()), spoil(_disc()))


@pytest.mark.parametrize("artefact", [Artefact.NOISE, Artefact.MOTION])
def test_noise_and_the_phase_of_motion_are_of_each_image(artefact: Artefact) -> None:
    spoil = spoiler(artefact, np.random.default_rng(5))
    assert not np.array_equal(spoil(_disc()), spoil(_disc()))


Pair = tuple[list[npt.NDArray[np.uint16]], list[npt.NDArray[np.uint8]], str]


def _hand(artefact: Artefact | None) -> Pair:
    made = hand_patient(7, kinds=(HandKind.GANGLION,), step_mm=2.0, artefact=artefact)
    uid = str(hand_dicom.datasets(made)[0][0].SOPInstanceUID)
    return [each.pixels for each in made.series], [each.truth for each in made.series], uid


def _spine(artefact: Artefact | None) -> Pair:
    made = spine_patient(7, kind=Kind.MALIGNANT, weights=(Weight.T1, Weight.T2), side=96, artefact=artefact)
    uid = str(spine_dicom.datasets(made)[0][0].SOPInstanceUID)
    return [each.pixels for each in made.series], [each.lesions for each in made.series], uid


def _diffusion(artefact: Artefact | None) -> Pair:
    made = diffusion_patient(7, tumours=1, region="thigh", side=48, slices=6, artefact=artefact)
    uid = str(diffusion_dicom.datasets(made, Dialect.PUBLIC)[0].SOPInstanceUID)
    return list(made.images), [made.lesions], uid


def _limb(artefact: Artefact | None) -> Pair:
    made = limb_patient(7, tumours=1, side=64, slices=6, artefact=artefact)
    return [made.pixels], [made.lesions], str(limb_dicom.datasets(made)[0].SOPInstanceUID)


@pytest.mark.parametrize("patient", [_hand, _spine, _diffusion, _limb])
@pytest.mark.parametrize("artefact", list(Artefact))
def test_only_pixels_and_identifiers_differ(patient: Callable[[Artefact | None], Pair], artefact: Artefact) -> None:
    plain, spoilt = patient(None), patient(artefact)
    for before, after in zip(plain[1], spoilt[1], strict=True):
        assert np.array_equal(before, after), "the truth"
    for one, other in zip(plain[0], spoilt[0], strict=True):
        assert not np.array_equal(one, other)
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.5, "the same anatomy, contrast and scale"
    assert plain[2] != spoilt[2], "other pixels, another SOP Instance UID"


def test_a_share_of_patients_has_one_and_any_is_each_kind() -> None:
    kinds = [drawn(seed, None, 0.3) for seed in range(1000)]
    spoilt = [kind for kind in kinds if kind is not None]
    assert 250 < len(spoilt) < 350
    assert set(spoilt) == set(Artefact)
    assert [drawn(seed, Artefact.WRAP, 1.0) for seed in range(5)] == [Artefact.WRAP] * 5
    assert [drawn(seed, Artefact.WRAP, 0.0) for seed in range(5)] == [None] * 5


def test_the_command_writes_them(tmp_path: Path) -> None:
    asked = ["phantoms", "--part", "diffusion", "--layout", "arrays", "--seed", "7", "--out"]
    assert cli.main([*asked, str(tmp_path / "plain")]) == 0
    assert cli.main([*asked, str(tmp_path / "moved"), "--artefact", "motion"]) == 0
    (plain,), (moved,) = (list((tmp_path / name).glob("*.npz")) for name in ("plain", "moved"))
    assert plain.name == moved.name
    with np.load(plain) as one, np.load(moved) as other:
        assert sorted(one) == sorted(other)
        assert any(not np.array_equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--part", "knee", "--artefact", "motion"], "--artefact is of MR"),
        (["--part", "hand", "--artefact", "any", "--artefact-share", "1.5"], "--artefact-share 1.5"),
    ],
)
def test_what_cannot_be_is_refused(options: list[str], words: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=words):
        cli.main(["phantoms", "--out", str(tmp_path), *options])
