"""From phantoms to a calibrated bundle, and what the numbers on that way mean."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from models.card import read_bundle
from models.hand import load
from models.hand_card import HandCard
from models.hand_findings import Body, SeriesAnswer, StudyAnswer
from models.masses import Mass
from models.session import Device, SessionOptions
from models.slices import plan
from training.cli import main
from training.hand import calibrate, commands, evaluate, fit, serving
from training.hand.batches import BatchSpec, Drawer, slices_of
from training.hand.dataset import Case, Scan, case_of, folds, read, split, write
from training.hand.nets import DeepLab
from training.hand.recipe import SMALL
from training.phantoms.hand import Plane, hand_patient
from training.phantoms.hand_tissue import HandKind
from training.phantoms.spine_tissue import Weight

TINY = replace(
    SMALL,
    name="tiny",
    preprocess=replace(SMALL.preprocess, size=(64, 64), spacing_mm=1.4, tile_px=16),
    net=replace(
        SMALL.net, stem=(8, 12), entry=(12, 16, 24), middle=1, end=(24, 24, 24, 24), aspp=12, low_level=8, decoder=12
    ),
    batches=BatchSpec(tumours=6, others=2, reserve=3),
    plan=replace(SMALL.plan, steps=20, observe_every=20),
)
PROTOCOL = ((Weight.T1, Plane.AXIAL), (Weight.FS, Plane.CORONAL))
OPTIONS = SessionOptions(device=Device.CPU, threads=1)


@pytest.fixture(scope="module")
def cases() -> tuple[Case, ...]:
    kinds: tuple[HandKind | None, ...] = (*HandKind, None)
    drawn = [hand_patient(seed, kinds=(kinds[seed % 6],), protocol=PROTOCOL, step_mm=2.0) for seed in range(42)]
    return tuple(case_of(patient) for patient in drawn)


def test_the_commands_give_a_bundle_that_answers_and_says_what_was_measured(
    cases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(commands.RECIPES, "small", replace(TINY, name="small"))
    for case in cases:
        write(case, tmp_path / "data")
    data, made = ["--data", str(tmp_path / "data")], ["--bundle", str(tmp_path / "bundle")]
    run, picture, report = (str(tmp_path / name) for name in ("run", "montage.png", "report.html"))
    assert main(["fit", "hand", *data, "--out", run]) == 0
    told = ["--version", "0.1.0", "--kind", "phantom", "--mirror"]
    assert main(["export", "hand", *data, *made, "--run", run, *told]) == 0
    assert main(["calibrate", "hand", *data, *made]) == 0
    chosen = read_bundle(tmp_path / "bundle").card
    shown = ["--montage", picture, "--report", report, "--run", run]
    assert main(["evaluate", "hand", *data, *made, "--write", *shown]) == 0
    card = read_bundle(tmp_path / "bundle").card
    assert isinstance(card, HandCard)
    assert (card.training["looks"], card.training["steps"]) == (2, 20)
    assert (card.calibration, card.thresholds) == (chosen.calibration, chosen.thresholds)
    measured = card.measured
    for error in ("validation_pixel_ece", "validation_study_ece"):
        assert measured[f"{error}_after"] <= measured[f"{error}_before"]
    assert (measured["validation_part"], measured["validation_cases"]) == ("validation", len(split(cases).validation))
    with Image.open(picture) as opened:
        assert opened.width == 4 * 256
    page = Path(report).read_text(encoding="utf-8")
    assert page.count("<svg") == 7, "confusion, ROC, three calibrations, Dice, losses"
    assert "study with a tumour: AUC" in page
    assert measured["miou_6_pixels"][0] > 0.1
    assert len(measured["study_macro_f1_6"]) == 3
    assert "phantom patients, test part" in str(measured["on"])
    sick = sum(case.kind > 0 for case in split(cases).test)
    fell = [value for key, value in measured.items() if key.startswith("answered_")]
    assert [sum(each) for each in zip(*fell, strict=True)] == [len(split(cases).test) - sick, sick]
    model = load(read_bundle(tmp_path / "bundle"), OPTIONS)
    scan, other = split(cases).test[0].scans
    said, _ = model.look([scan.input, other.input])
    assert said.logits.shape == (6, len(scan.stack), *said.way.padded)
    assert 0.0 < said.strangeness < card.thresholds.unlike
    assert (measured["noise_not_assessed"], measured["reversed_not_assessed"]) == (1.0, 1.0)
    assert measured["sequences_not_assessed"] < 0.5, "20 steps and seven patients: the limit is rough"
    changed = [replace(case, name="NEW") if case is split(cases).train[0] else case for case in cases]
    monkeypatch.setattr(commands, "patients", lambda folder: changed)
    for refused in (["calibrate", *made], ["evaluate", *made], ["fit", "--out", run]):
        assert main([refused[0], "hand", *data, *refused[1:]]) == 2
        assert "ther cases taught" in capsys.readouterr().err, "one patient has left since, another has come"


@torch.no_grad()
def test_a_mirrored_slice_gets_the_mirrored_answer(cases) -> None:
    torch.manual_seed(2)
    net = DeepLab(TINY.net).eval()
    learned = serving.learned(net, cases[:2], TINY)
    image = torch.rand((2, len(TINY.preprocess.channels), *TINY.preprocess.size))
    both, one = (serving.Served(net, learned, TINY.preprocess.own, looks) for looks in (True, False))
    assert torch.allclose(both(image.flip(3)).mask_logits, both(image).mask_logits.flip(3), atol=1e-5)
    assert not torch.allclose(one(image.flip(3)).mask_logits, one(image).mask_logits.flip(3), atol=1e-3)


def test_a_run_that_was_interrupted_is_only_continued_as_it_was(cases, tmp_path: Path) -> None:
    short = replace(TINY, plan=replace(TINY.plan, steps=2))
    fit.train(cases, short, tmp_path)
    with pytest.raises(Exception, match="another recipe"):
        fit.train(cases, TINY, tmp_path)


def test_folds_train_on_all_but_the_patients_they_measure(cases, tmp_path: Path) -> None:
    short = replace(TINY, plan=replace(TINY.plan, steps=2, observe_every=50))
    table = commands.cross_validated(cases[:12], short, tmp_path, None, count=2)
    assert [line.split()[0] for line in table.splitlines()] == ["fold", "1", "2", "mean", "sd"]
    assert (tmp_path / "fold-2" / "net.pt").is_file()


def named(count: int) -> list[Case]:
    return [Case(f"hand-{number:04d}", number % 6, ()) for number in range(count)]


def test_no_patient_is_in_two_folds_and_every_patient_in_one() -> None:
    everyone = named(221)
    made = folds(everyone)
    assert len(made) == 5
    assert sorted(case.name for fold in made for case in fold) == [case.name for case in everyone]
    assert max(map(len, made)) - min(map(len, made)) <= 2
    for kind in range(6):
        counts = [sum(case.kind == kind for case in fold) for fold in made]
        assert max(counts) - min(counts) <= 1


def test_a_split_is_by_patient_and_the_same_in_any_order() -> None:
    everyone = named(120)
    parts = split(everyone)
    names = [{case.name for case in part} for part in (parts.train, parts.validation, parts.test)]
    assert [len(each) for each in names] == [84, 18, 18]
    assert len(set.union(*names)) == 120
    again = split(everyone[::-1])
    assert {case.name for case in again.test} == names[2]


def test_a_patient_reads_back_as_written(cases, tmp_path: Path) -> None:
    write(cases[0], tmp_path)
    (read_back,) = read(tmp_path)
    assert (read_back.name, read_back.kind) == (cases[0].name, cases[0].kind)
    for one, other in zip(read_back.scans, cases[0].scans, strict=True):
        assert np.array_equal(one.stack, other.stack)
        assert np.array_equal(one.mask, other.mask)
        assert (one.weighting, one.plane, one.spacing_mm) == (other.weighting, other.plane, other.spacing_mm)
        assert one.grid is not None
        assert other.grid is not None
        assert one.grid.is_that_of(other.grid)


def test_the_command_line_makes_phantoms_for_training(tmp_path: Path) -> None:
    options = ["--part", "hand", "--layout", "arrays", "--count", "1", "--seed", "7"]
    assert main(["phantoms", "--out", str(tmp_path), *options]) == 0
    assert [case.name for case in read(tmp_path)] == ["hand-0000007"]


def test_a_batch_has_the_five_kinds_in_turn_and_keeps_a_tumour_in_sight(cases) -> None:
    drawer = Drawer(cases, TINY.preprocess, BatchSpec(tumours=10, others=3), replace(TINY.augment, elastic=0.0), 1)
    batch = drawer(0, 0.0)
    kinds = batch.truth.amax(dim=(1, 2)).tolist()
    assert sorted(kinds[:10]) == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert kinds[10:] == [0, 0, 0]
    assert np.array_equal(batch.truth.numpy(), drawer(0, 0.9).truth.numpy())
    assert not np.array_equal(batch.truth.numpy(), drawer(1, 0.0).truth.numpy())


def alone(stack: npt.NDArray[np.uint8], mask: npt.NDArray[np.uint8]) -> Case:
    return Case("one", int(mask.max()), (Scan("t1", "axial", stack, mask, TINY.preprocess.spacing_mm, 3.0),))


def test_a_companion_comes_now_and_then_and_the_own_series_always(cases) -> None:
    few = replace(TINY.augment, elastic=0.0, rotation_deg=0.0, scale=0.0, flip=0.0)
    shown = {}
    for missing in (0.0, 0.5, 1.0):
        drawer = Drawer(cases, TINY.preprocess, replace(TINY.batches, missing=missing), few, 1)
        batches = torch.cat([drawer(step, 0.0).image[:6] for step in range(40)])
        own, companions = batches[:, :4].amax(dim=(2, 3)), batches[:, [4, 6]].amax(dim=(2, 3))
        assert (own.amax(dim=1) > 0).all()
        assert not batches[:, [5, 7]].any(), "nobody has T2 with fat, or contrast agent"
        assert (companions.amax(dim=1) > 0).all(), "each slice is of T1 or without fat, and stays in its own channel"
        shown[missing] = float((companions > 0).float().mean())
    assert shown[1.0] == 0.5
    assert shown[0.0] > 0.9
    assert shown[0.5] == pytest.approx((shown[0.0] + 0.5) / 2, abs=0.06)


def test_a_slice_is_prepared_as_the_node_prepares_it() -> None:
    stack = np.random.default_rng(1).integers(20, 255, (3, 40, 40)).astype(np.uint8)
    mask = np.zeros_like(stack)
    mask[1, 10:20, 5:25] = 4
    one, two, _ = slices_of(alone(stack, mask), TINY.preprocess)
    assert (two.image.shape, two.truth.shape) == ((8, 64, 64), (64, 64))
    assert not one.truth.any()
    assert set(np.unique(two.truth)) == {0, 4}
    assert int((two.truth == 4).sum()) == 200


def test_neighbours_are_the_slices_on_either_side_also_of_a_chosen_one() -> None:
    stack = np.random.default_rng(1).integers(20, 255, (4, 64, 64)).astype(np.uint8)
    case = alone(stack, np.zeros_like(stack))
    assert TINY.preprocess.channels[:4] == ("clahe", "plain", "before", "behind")
    first, second, third, last = slices_of(case, TINY.preprocess)
    assert np.array_equal(second.image[2], first.image[1])
    assert np.array_equal(second.image[3], third.image[1])
    assert np.array_equal(first.image[2], first.image[1])
    assert np.array_equal(last.image[3], last.image[1])
    (chosen,) = slices_of(case, TINY.preprocess, {0: [1]})
    assert np.array_equal(chosen.image, second.image)


def test_roughness_by_hand_is_the_step_between_neighbours_over_the_deviation() -> None:
    """Columns of 0.2 and 0.6: steps of 0 down and 0.4 across, a deviation of 0.2; the other slice is 0.3 away."""
    plain = torch.tensor([[0.2, 0.6], [0.2, 0.6]])
    image = torch.stack([plain, plain, plain + 0.3])[None]
    deviation = np.hypot(0.2, serving.SMOOTH)
    wanted = [np.log(0.2 / deviation + serving.SMOOTH)] * 3 + [np.log(0.3 / deviation + serving.SMOOTH)]
    assert serving.roughness(image).tolist()[0] == pytest.approx(wanted, abs=1e-5)
    padded = torch.nn.functional.pad(image, (2, 2, 2, 2))
    assert torch.allclose(serving.roughness(padded), serving.roughness(image), atol=1e-6)


def drawn() -> tuple[evaluate.Floats, npt.NDArray[np.int64]]:
    """Logits of pixels, and classes drawn as these say."""
    rng = np.random.default_rng(3)
    logits = rng.normal(0.0, 1.5, (20_000, 6))
    return logits, (rng.random((20_000, 1)) > evaluate.softmax(logits).cumsum(axis=1)).sum(axis=1)


def test_a_temperature_is_found_again() -> None:
    logits, truth = drawn()
    assert calibrate.pixel_temperature(logits * 3.0, truth) == pytest.approx(3.0, rel=0.05)
    assert calibrate.pixel_scale(logits * 3.0, truth) == pytest.approx((3.0, 0.0), rel=0.05, abs=0.1)


def test_a_background_that_was_told_too_rare_is_found_again() -> None:
    logits, truth = drawn()
    logits[:, 0] -= np.log(5.0)
    assert calibrate.pixel_scale(logits, truth) == pytest.approx((1.0, np.log(5.0)), rel=0.05)


def test_pixels_that_mean_what_they_say_are_not_scaled() -> None:
    assert calibrate.pixel_scale(*drawn()) == calibrate.AS_IT_IS


def test_a_temperature_for_the_sake_of_a_few_sure_errors_is_not_kept() -> None:
    """19 of 20 pixels mean their 90 %; the last are sure of ganglia where there are lipomas, and no bias mends that."""
    logits, truth = np.zeros((2000, 6)), np.zeros(2000, dtype=np.int64)
    logits[:1900, 0], truth[:190] = np.log(0.9 * 5 / 0.1), np.arange(190) % 5 + 1
    logits[1900:, 1], truth[1900:] = 12.0, 3
    plain = calibrate.pixel_error(logits, truth, calibrate.AS_IT_IS)
    assert plain == pytest.approx(0.05, abs=1e-3)
    assert calibrate.pixel_error(logits, truth, (calibrate.pixel_temperature(logits, truth), 0.0)) > plain + 0.05
    assert calibrate.pixel_scale(logits, truth) == calibrate.AS_IT_IS


def test_what_a_pixel_truly_is_does_not_choose_it_for_calibration() -> None:
    scan = Scan("t1", "axial", np.zeros((1, 2, 2), np.uint8), np.array([[[1, 0], [2, 0]]], np.uint8), 1.0, 3.0)
    logits = np.zeros((6, 1, 2, 2), dtype=np.float16)
    logits[0, 0, :, :] = [[9.0, 9.0], [0.0, 0.0]]
    seen = evaluate.Looked(Case("a", 1, (scan,)), scan, plan((2, 2), (1.0, 1.0), 1.0, (2, 2)), logits)
    chosen, truth = evaluate.contested([seen])
    assert (chosen.shape, truth.tolist()) == ((2, 6), [2, 0])


def studies(chance: float, sick: int) -> list[evaluate.Patient]:
    """A hundred patients with this chance of a tumour, so many of them with one, the kinds alike, none outlined."""
    nothing = np.zeros((6, 6), dtype=np.int64)
    series = evaluate.Examined(SeriesAnswer((), chance), nothing, (nothing[:0], nothing[0]), np.nan, np.nan)
    kinds = [number % 5 + 1 if number < sick else 0 for number in range(100)]
    return [
        evaluate.Patient(Case(str(n), kind, ()), (series,), StudyAnswer(chance, None)) for n, kind in enumerate(kinds)
    ]


def test_studies_are_scaled_only_where_that_makes_them_mean_what_they_say() -> None:
    card = commands.bundle.blank(SMALL, "0.1.0", {"kind": "phantom"})
    assert calibrate.study_calibration(studies(0.9, 90), card) == card.calibration
    too_sure = studies(0.99, 70)
    scaled = replace(card, calibration=calibrate.study_calibration(too_sure, card))
    # as it is: any kind with 0.198 where 0.14 are right; scaled: normal with 0.3, as many as are
    assert calibrate.study_error(too_sure, card) == pytest.approx(0.058, abs=1e-3)
    assert calibrate.study_error(too_sure, scaled) < 0.02


def test_figures_of_studies_worked_out_by_hand() -> None:
    """Of three hands with a tumour two are answered "tumour" and one, without an outline, undecided; of two without,
    one is answered so. The likeliest classes: ganglion, ganglion where there is a lipoma, and normal where there is
    nothing or a ganglion; of a hand without a tumour ganglion."""
    card = commands.bundle.blank(SMALL, "0.1.0", {"kind": "phantom"})
    voxel = np.ones((1, 1, 1), dtype=bool)
    ganglion = np.array([0.8, 0.05, 0.05, 0.05, 0.05])
    body = Body(Mass((slice(0, 1), slice(0, 1), slice(0, 1)), voxel, 1), 0.9, ganglion)
    nothing = np.zeros((6, 6), dtype=np.int64)
    patients = []
    for kind, chance, is_outlined in ((1, 0.9, True), (3, 0.9, True), (1, 0.6, False), (0, 0.1, False), (0, 0.9, True)):
        answer = SeriesAnswer((body,) if is_outlined else (), chance)
        regions = nothing[: len(answer.bodies)], nothing[0]
        series = evaluate.Examined(answer, nothing, regions, np.nan, np.nan)
        study = StudyAnswer(chance, ganglion if is_outlined else None)
        patients.append(evaluate.Patient(Case("a", kind, ()), (series,), study))
    measures = evaluate.measures(patients, card)
    names = [f"study_{each}" for each in ("precision", "sensitivity", "specificity", "f1", "accuracy_6", "macro_f1_6")]
    made = {name: measures[name].of(np.arange(5)) for name in names}
    assert made["study_precision"] == made["study_sensitivity"] == made["study_f1"] == pytest.approx(2 / 3)
    assert made["study_specificity"] == 0.5
    assert made["study_accuracy_6"] == pytest.approx(2 / 5)
    # normal: one of two and of two answered so; ganglion: one of two, three answered so; lipoma: never; others: none
    assert made["study_macro_f1_6"] == pytest.approx((1 / 2 + 2 / 5 + 0) / 3)


def test_of_regions_outlined_equally_well_those_of_the_best_calibrated_studies_are_chosen() -> None:
    card = commands.bundle.blank(SMALL, "0.1.0", {"kind": "phantom"})

    def tried(region: float, dice: float, error: float) -> calibrate.Tried:
        thresholds = replace(card.thresholds, region=region)
        return calibrate.Tried(replace(card, thresholds=thresholds), dice, (error, error))

    flat = [tried(0.3, 0.435, 0.07), tried(0.4, 0.435, 0.09), tried(0.5, 0.436, 0.11)]
    assert calibrate.best_of(flat).card.thresholds.region == 0.3
    steep = [tried(0.3, 0.40, 0.07), tried(0.4, 0.43, 0.09), tried(0.5, 0.436, 0.11)]
    assert calibrate.best_of(steep).card.thresholds.region == 0.4


def test_grain_by_hand_is_nothing_in_noise_and_a_doubling_on_a_ramp() -> None:
    ramp = torch.linspace(0.2, 0.9, 32).expand(1, 1, 32, 32)
    assert serving.grain(ramp).item() == pytest.approx(np.log(2.0), abs=0.03)
    noise = torch.rand((1, 1, 256, 256), generator=torch.Generator().manual_seed(1))
    assert serving.grain(noise).item() == pytest.approx(0.0, abs=0.01)
    assert serving.grain(torch.full((1, 2, 8, 8), 0.5)).tolist()[0] == pytest.approx([0.0, 0.0]), "flat: no difference"


def test_brightness_by_hand_is_of_tissue_and_of_the_grey_values_as_they_are() -> None:
    """A quarter of the tissue is at 0.6, a quarter at 1; air is not counted, nor what CLAHE made of it."""
    plain = torch.zeros((8, 8))
    plain[:4] = 0.3
    plain[:2, :4], plain[:2, 4:] = 0.6, 1.0
    image = torch.stack([torch.ones((8, 8)) * (plain > 0), plain])[None]
    assert serving.LEVELS == (0.5, 0.9)
    assert serving.brightness(image).tolist()[0] == pytest.approx([0.5, 0.25])
    assert serving.brightness(plain[None, None]).tolist()[0] == pytest.approx([0.5, 0.25]), "one channel: itself"
