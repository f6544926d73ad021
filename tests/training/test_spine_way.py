"""The whole way of the spine system on a small budget: phantoms, fit, export, calibrate, evaluate, ablate."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from models.card import read_bundle
from models.findings import Answer, ImageRef, Spacing, SpacingSource
from models.spine import Found, PatientAnswer, SequenceAnswer, SpineRules, SpineSequence, conclude
from models.spine_study import load
from models.wff import ABLATION, Vote, Weights
from training import cli
from training.errors import DataFault, RunFault
from training.phantoms.spine import Kind, spine_patient
from training.spine import ablate, calibrate, commands, evaluate, fit
from training.spine.cutmix import Band
from training.spine.dataset import Case, Scan, case_of, write
from training.spine.recipe import PAPER, RECIPES, SMALL
from training.spine.report import greatest

TINY = replace(
    SMALL,
    name="tiny",
    detector=replace(
        SMALL.detector,
        size=(96, 96),
        backbone=replace(
            SMALL.detector.backbone,
            stem=16,
            inner=(8, 8, 16, 16),
            outer=(16, 16, 32, 32),
            depths=(1, 1, 1, 1),
            groups=4,
        ),
        width=16,
        hidden=32,
        candidates=64,
        proposals=16,
    ),
    detector_loss=replace(SMALL.detector_loss, candidates=64, proposals=16),
    detector_batches=replace(SMALL.detector_batches, images=4, window=(96, 64)),
    detector_plan=replace(SMALL.detector_plan, steps=6, observe_every=3),
    classifier=replace(SMALL.classifier, stem=16, inner=(8, 8, 16), outer=(16, 16, 32), depths=(1, 1, 1), groups=4),
    classifier_batches=replace(SMALL.classifier_batches, sequences=4),
    classifier_plan=replace(SMALL.classifier_plan, steps=6, observe_every=3),
)


@pytest.fixture(scope="module")
def cases():
    kinds = (Kind.BENIGN, Kind.MALIGNANT, Kind.NORMAL)
    return [case_of(spine_patient(seed, kind=kinds[seed % 3], side=96)) for seed in range(21)]


@pytest.fixture(scope="module")
def made(cases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("spine")
    for case in cases:
        write(case, folder / "data")
    data, made = ["--data", str(folder / "data")], ["--bundle", str(folder / "bundle"), "--kind", "phantom"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(commands.RECIPES, "small", replace(TINY, name="small"))
        assert cli.main(["fit", "spine", *data, "--out", str(folder / "run")]) == 0
        assert cli.main(["export", "spine", *data, *made, "--run", str(folder / "run")]) == 0
    return folder


def test_a_bundle_is_fitted_exported_calibrated_measured_and_answers(cases, made):
    asked = ["--data", str(made / "data"), "--bundle", str(made / "bundle")]
    assert cli.main(["calibrate", "spine", *asked]) == 0
    shown = ["--montage", str(made / "montage.png"), "--report", str(made / "report.html"), "--run", str(made / "run")]
    assert cli.main(["evaluate", "spine", *asked, "--write", *shown]) == 0
    with Image.open(made / "montage.png") as picture:
        assert picture.size == (4 * 256, 3 * 256), "a row for each of three patients"
    page = (made / "report.html").read_text(encoding="utf-8")
    assert "<h2>Training, detector network</h2>" in page
    assert "<h2>Training, classifier network</h2>" in page
    assert "before calibration" in page
    assert "data:image/png;base64," in page
    card = read_bundle(made / "bundle").card
    assert card.measured["patients"] == 3
    assert (card.measured["validation_part"], card.measured["validation_cases"]) == ("validation", 3)
    assert 0.0 <= card.measured["validation_ece_after"] < 0.5
    for figure in ("patient_auc", "ap50", "map50", "map50_95"):
        assert len(card.measured[figure]) == 3
    assert card.measured["noise_not_assessed"] == 1.0
    assert card.measured["sequences_not_assessed"] < 0.5
    assert card.thresholds.unlike > 0.3
    spine = load(read_bundle(made / "bundle"))
    spine.warm_up()
    scan = cases[0].scans[0]
    refs = tuple(ImageRef(f"1.{place}") for place in range(len(scan.stack)))
    sequence = SpineSequence("1", refs, scan.stack.astype(np.float32), Spacing(1.0, 1.0, SpacingSource.CALIBRATED))
    found = spine.answer([sequence], 50.0)
    assert found.answer in set(Answer)
    assert found.model.training_data == "phantom"


def test_the_terms_of_the_bundle_that_ships_are_weighed_anew(cases, tmp_path, capsys):
    for case in cases:
        write(case, tmp_path)
    asked = ["ablate", "spine", "--data", str(tmp_path), "--bundle", str(cli.SHIPPED / "spine")]
    assert cli.main([*asked, "--kind", "phantom"]) == 0
    first, _, *rows = capsys.readouterr().out.splitlines()
    assert first == "Measured on phantom patients; the paper's on its own."
    assert [row.split()[0] for row in rows] == list(ABLATION)
    assert rows[-1].endswith("0.821 0.839 0.720 0.878")
    figures = np.array([row.split()[1:5] for row in rows], dtype=float)
    assert ((figures >= 0) & (figures <= 1)).all()


def test_patients_that_left_since_leave_nothing_to_measure_by(cases, made, monkeypatch, capsys):
    monkeypatch.setitem(commands.RECIPES, "small", replace(TINY, name="small"))
    monkeypatch.setattr(commands, "patients", lambda folder: cases[:12])
    of = ["spine", "--data", str(made / "data")]
    for command, more in (("calibrate", ()), ("evaluate", ()), ("ablate", ("--kind", "phantom"))):
        assert cli.main([command, *of, "--bundle", str(made / "bundle"), *more]) == 2
        assert "Other cases taught" in capsys.readouterr().err
    assert cli.main(["fit", *of, "--out", str(made / "run")]) == 2
    assert "or other cases taught it" in capsys.readouterr().err


def test_an_ablation_without_a_malignant_patient_is_refused(cases, made):
    spine = load(read_bundle(made / "bundle"))
    with pytest.raises(DataFault, match="benign and with a malignant"):
        ablate.ablate(spine.nets, evaluate.look(spine.nets, cases[:1], (96, 96)), spine.card.rules)


def test_what_an_ablation_is_measured_on_must_be_said(capsys):
    with pytest.raises(SystemExit):
        cli.main(["ablate", "spine", "--data", "d", "--bundle", "b"])
    assert "--kind" in capsys.readouterr().err


def test_a_patient_is_as_suspicious_as_the_best_box_that_counts(cases):
    rules = SpineRules((96, 96), 1.0, 0.1, Weights(), (0.5,) * 10, 1.0, 0.0, 0.5, unlike=5.0)
    nothing, two = _found([], []), replace(_found([2, 3], [[0, 0, 9, 9]] * 2), probabilities=np.eye(3)[[0, 1]] * 0.6)
    one = _found([4], [[0, 0, 9, 9]])
    seen = evaluate.Looked(cases[0], (), (nothing, one, two), (1.0, 1.0, 7.0))
    assert greatest(seen, rules) == 0.9, "the third sequence is too strange to count"
    assert greatest(replace(seen, strangeness=()), rules) == 1.0
    assert greatest(replace(seen, found=(nothing,), strangeness=()), rules) == 0.0


def test_a_run_of_another_recipe_is_not_continued(cases, made):
    with pytest.raises(RunFault, match="another recipe"):
        fit.train(cases, SMALL, made / "run")


def test_a_run_that_did_not_end_cannot_be_exported(cases, tmp_path):
    with pytest.raises(RunFault, match="missing"):
        fit.load(SMALL, tmp_path)


def test_the_presets_are_what_the_paper_says():
    assert set(RECIPES) == {"paper", "small", "strong"}
    assert PAPER.classifier.ndim == 3
    assert PAPER.classifier.depths == PAPER.detector.backbone.depths == (3, 4, 23, 3)
    assert PAPER.classifier_batches.labelled == 0.5
    assert PAPER.classifier_batches.margin == 1.0
    assert PAPER.detector_batches.cutmix > 0
    assert PAPER.detector_plan.observe_every == 15778 // PAPER.detector_batches.images
    assert PAPER.classifier_plan.observe_every == round(1625 / PAPER.classifier_batches.sequences)


def _case(kind=2):
    patient = next(
        made
        for made in (spine_patient(seed, kind=Kind.MALIGNANT, side=96) for seed in range(40))
        if made.series[0].boxes
    )
    return replace(case_of(patient), kind=kind)


def _found(slices, boxes):
    return Found(
        np.array(slices, dtype=np.intp),
        np.array(boxes, dtype=np.float64).reshape(-1, 4),
        np.tile([0.1, 0.2, 0.7], (len(slices), 1)).reshape(-1, 3),
    )


def test_boxes_on_the_lesion_are_no_false_findings_and_others_count_once_for_all_sequences():
    rules = SpineRules((96, 96), 1.0, 0.1, Weights(), (0.5,) * 10, 1.0, 0.0, 0.5)
    case = _case()
    true = [_found(scan.slices, scan.boxes) for scan in case.scans]
    judged = evaluate.judged(case, conclude(true, [0.5] * len(true), case.age, rules))
    assert judged.false_findings == 0
    assert judged.met_lesions == judged.true_lesions > 0
    wrong = [
        _found([0, 1], [[0.0, 0.0, 0.1 * scan.stack.shape[2], 0.1 * scan.stack.shape[1]]] * 2) for scan in case.scans
    ]
    judged = evaluate.judged(case, conclude(wrong, [0.5] * len(wrong), case.age, rules))
    assert judged.false_findings == 1, "the same place in every sequence"
    assert judged.met_lesions == 0
    none = [_found([], []) for _ in case.scans]
    judged = evaluate.judged(case, conclude(none, [None] * len(none), case.age, rules))
    assert judged.score == 0.5
    assert ablate.row("Det", [judged]).accuracy == 0.0, "a tumour that was not found is an error"
    assert isinstance(judged.answer.sequences[0], SequenceAnswer)


def test_figures_of_patients_worked_out_by_hand():
    """Of three benign ones one is called benign, one malignant, one is not detected; of three malignant ones two are
    called malignant, one benign. Boxes are in the classes of the votes."""
    told = [(1, 1), (1, 2), (1, 0), (2, 2), (2, 2), (2, 1), (0, 0)]
    looked, said = [], []
    for place, (kind, answer) in enumerate(told):
        boxes = np.array([[8.0, 8, 24, 24]] * bool(kind), dtype=np.float32).reshape(-1, 4)
        one = np.ones(len(boxes), dtype=np.int64)
        scan = Scan("T2", np.zeros((3, 96, 96), dtype=np.uint8), boxes, one, one, Band(np.zeros(96), 9.0), 1.0, 4.0)
        case = Case(f"{place}", kind, None, "", (scan,))
        found = _found([1] * bool(answer), [[8, 8, 24, 24]] * bool(answer))
        likelier = np.array([[0.3, 0.6, 0.1] if answer == 1 else [0.1, 0.2, 0.7]])
        looked.append(evaluate.Looked(case, (), (replace(found, probabilities=likelier[: bool(answer)]),)))
        vote = Vote((Answer.BENIGN, Answer.MALIGNANT)[answer - 1], 1, 1, 0.5) if answer else None
        said.append(evaluate.Judged(case, PatientAnswer((), vote, None), 0.5, 0, bool(kind), bool(answer)))
    made = {name: one.of(np.arange(one.groups.size)) for name, one in evaluate.measures(looked, said).items()}
    assert made["precision"] == made["sensitivity"] == made["f1"] == pytest.approx(2 / 3)
    assert made["specificity"] == pytest.approx(1 / 3)
    assert made["accuracy"] == pytest.approx(3 / 6)
    assert made["ap50"] == pytest.approx(5 / 6), "5 of 6 tumours are met, and no box is false"
    # malignant: false, right, right; two of three met by precisions of 2 / 3. benign: right, false; one of three met
    assert made["map50"] == pytest.approx((2 * (2 / 3) / 3 + 1 / 3) / 2)
    assert made["map50_95"] == pytest.approx(made["map50"]), "every box lies on its tumour exactly"
    rules = SpineRules((96, 96), 1.0, 0.1, Weights(), (0.5,) * 10, 1.0, 0.0, 0.5)
    assert evaluate.figures(looked, said, rules)["f1"][0] == 0.6667


def test_calibration_moves_a_timid_score_to_how_often_it_was_right():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400)
    scores = np.clip(0.5 + 0.08 * (truth * 2 - 1) + rng.normal(0, 0.06, 400), 0.01, 0.99)
    temperature, bias = calibrate.fit_calibration(scores, truth)
    assert temperature < 0.5
    assert abs(bias) < 0.5
