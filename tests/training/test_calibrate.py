"""Thresholds and calibration from cases with a known best answer."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from models.card import Bundle, Calibration, KneeCard, Thresholds, of_kind, read_bundle
from models.findings import Answer
from models.fusion import calibrate
from models.session import Session
from tests.models import nets
from tests.training import collections
from training.knee.calibrate import (
    PIXEL_BIASES,
    REMEMBERED,
    Bench,
    Choice,
    _alone,
    _outlined_from,
    _outlining,
    _Remembering,
    choose,
    deciding,
    fit_calibration,
    pick,
    with_rule,
    youden,
)
from training.knee.dataset import Radiographs, read
from training.knee.evaluate import SIZES, Case, figures
from training.knee.judges import whole

NAN = float("nan")


def case(
    label: int,
    probabilities: tuple[float, ...],
    *,
    whole=None,
    overlap=0.0,
    regions=0,
    number=1,
    share=0.01,
    expected=NAN,
) -> Case:
    said = np.array(probabilities)
    return Case(
        name=f"IMG{number:06d}",
        label=label,
        block=(number - 1) // 40,
        whole=np.array(whole if whole is not None else probabilities),
        raw=said,
        probabilities=said,
        answer=(Answer.NORMAL, Answer.BENIGN, Answer.MALIGNANT)[int(said.argmax())],
        regions=regions,
        overlap=overlap,
        iou=overlap / (2 - overlap),
        hd95_px=10.0 * (1.0 - overlap) if overlap else float("nan"),
        pixels=(int(100 * overlap), 100, 100),
        share=share if label else 0.0,
        expected=expected,
        strangeness=float(number),
    )


def test_a_distorted_answer_is_set_right() -> None:
    rng = np.random.default_rng(1)
    true = rng.dirichlet((1.5, 1.0, 0.7), 4000)
    labels = np.array([rng.choice(3, p=each) for each in true])
    distorted = calibrate(true, 0.5, (0.0, 0.7, -0.4))
    found, _ = fit_calibration(distorted, labels)
    assert found.temperature == pytest.approx(2.0, rel=0.1)
    assert found.bias[0] == 0.0
    assert np.abs(calibrate(distorted, found.temperature, found.bias) - true).mean() < 0.02


def test_the_decision_threshold_parts_the_two_sides() -> None:
    score = np.array([0.1, 0.2, 0.3, 0.6, 0.7, 0.8])
    assert youden(score, score > 0.5) == pytest.approx(0.45)


def test_the_threshold_of_a_tumour_lies_between_youdens_and_the_share_of_tumours() -> None:
    score = np.array([0.1, 0.2, 0.3, 0.6, 0.7, 0.8, 0.9, 0.95])
    assert deciding(score, score > 0.5) == pytest.approx((0.45 + 5 / 8) / 2)


def test_that_threshold_is_near_the_best_one_more_often_than_youdens() -> None:
    """Probabilities that are exact, a third of them tumours: the best threshold is a third."""
    rng, away = np.random.default_rng(3), {"middle": [], "youden": []}
    for _ in range(40):
        score = rng.beta(0.8, 1.6, 200)
        positive = rng.random(200) < score
        away["middle"].append(abs(deciding(score, positive) - 1 / 3))
        away["youden"].append(abs(youden(score, positive) - 1 / 3))
    assert np.mean(away["middle"]) < 0.8 * np.mean(away["youden"])


def test_the_rule_of_a6_is_applied_to_what_was_fused_without_it() -> None:
    sure = case(1, (0.2, 0.5, 0.3), whole=(0.1, 0.6, 0.3))
    assert np.allclose(with_rule(sure, 0.5), (0.0, 0.625, 0.375))
    assert np.allclose(with_rule(sure, 1.0), (0.2, 0.5, 0.3))


def chosen(mask: float) -> Choice:
    thresholds = Thresholds(mask, mask, 20.0, 25.0, 1.0, 2 / 3, tumour=0.5, certain=(0.5, 0.5), unlike=1e9)
    return Choice(thresholds, Calibration(1.0, (0.0, 0.0, 0.0)), 0.0, 0.0)


def test_the_mask_is_cut_where_outlines_fit_best_among_images_that_read_as_tumour() -> None:
    tumour, missed, normal = (0.2, 0.7, 0.1), (0.9, 0.05, 0.05), (0.8, 0.1, 0.1)

    def cases(fits: float, misses: float, regions: int) -> list[Case]:
        return [
            case(1, tumour, overlap=fits, regions=1),
            case(1, missed, overlap=misses, regions=1),
            case(0, normal, regions=regions),
            case(0, tumour, regions=1),
        ]

    examined = [cases(0.3, 0.9, 2), cases(0.6, 0.1, 1), cases(0.5, 0.1, 1), cases(0.1, 0.0, 0)]
    made = pick([chosen(mask) for mask in (0.2, 0.4, 0.6, 0.8)], examined)
    assert made.thresholds.mask == 0.4


class Drawn(NamedTuple):
    """In the place of a bundle before its judges: what it would say at each threshold of an image that reads normal."""

    card: KneeCard
    silent_from: float
    has_outlines: bool = False

    def examine(self, cards: list[KneeCard]) -> list[list[Case]]:
        normal, tumour = (0.8, 0.1, 0.1), (0.2, 0.7, 0.1)
        outlined = [int(card.thresholds.mask_alone < self.silent_from) for card in cards]
        return [[*(case(0, normal, regions=each) for _ in range(20)), case(0, tumour, regions=1)] for each in outlined]


@pytest.mark.parametrize(("silent_from", "alone"), [(0.1, 0.4), (0.75, 0.8), (0.98, 0.98), (1.0, 0.98)])
def test_without_a_bias_the_lowest_threshold_is_taken_at_which_few_normal_images_are_outlined(
    tmp_path: Path, silent_from: float, alone: float
) -> None:
    """Measured with the very card that comes of it: A5 takes for tumour what `mask` says, whatever `mask_alone`."""
    card = of_kind(read_bundle(nets.bundle(tmp_path / "knee")), KneeCard).card
    made = _outlining(chosen(0.4), Drawn(card, silent_from))  # type: ignore[arg-type]  # all that is asked of a bench
    assert (made.thresholds.mask, made.thresholds.mask_alone, made.thresholds.pixel_bias) == (0.4, alone, None)


def test_of_images_that_read_as_normal_those_are_outlined_of_whose_outline_most_may_be_expected() -> None:
    """Of forty quiet normal images two may be outlined: more than the third expects must be expected."""
    tumour, normal = (0.2, 0.7, 0.1), (0.9, 0.05, 0.05)
    quiet = [case(0, normal, regions=1, expected=expected) for expected in (0.8, 0.6, 0.555, 0.3)]
    quiet += [case(0, normal) for _ in range(36)]
    read_as_tumour = [case(0, tumour, regions=1, expected=0.95), case(1, tumour, overlap=0.7, regions=1, expected=0.2)]
    missed = [case(1, normal, overlap=fit, regions=1, expected=each) for fit, each in ((0.7, 0.56), (0.4, 0.55))]
    choice = chosen(0.5)
    assert _alone(choice, [*quiet, *read_as_tumour, *missed]) == 0.56
    assert _alone(choice, read_as_tumour) == 0.1
    seen = [_outlined_from(0.56, choice, each) for each in (*read_as_tumour, *missed, quiet[2], quiet[5])]
    assert [each.regions for each in seen] == [1, 1, 1, 0, 0, 0]
    assert [each.overlap for each in seen[:4]] == [0.0, 0.7, 0.7, 0.0]
    assert np.isnan(seen[4].overlap), "neither has a tumour"
    assert np.isnan([seen[3].expected, seen[4].expected, seen[5].expected]).all()


@pytest.mark.parametrize(("batches", "runs"), [(3, 3), (REMEMBERED, REMEMBERED), (REMEMBERED + 1, None)])
def test_the_windows_of_an_image_are_run_once_for_all_candidates(batches: int, runs: int | None) -> None:
    """Beyond what is remembered they are run again, and the answers are the same."""
    asked = []

    class Counted(Session):
        provider = "none"

        def run(self, images):
            asked.append(images)
            return {"mask_logits": images + 1.0}

        def __init__(self) -> None:
            pass

    remembering = _Remembering(Counted())
    windows = [np.full((3, 1, 4, 4), number, dtype=np.float32) for number in range(batches)]
    for _ in range(4):
        for one in windows:
            assert np.array_equal(remembering.run(one)["mask_logits"], one + 1.0)
    assert len(asked) == (runs or 4 * batches)


def test_outlines_are_measured_by_the_size_of_the_tumour() -> None:
    shares, overlaps = (0.001, 0.0049, 0.005, 0.0299, 0.03, 0.4, 0.0), (0.0, 0.2, 0.4, 0.5, 0.7, 0.9, 0.0)
    pairs = zip(shares, overlaps, strict=True)
    cases = [case(1, (0.2, 0.7, 0.1), share=share, overlap=overlap, number=40 * place + 1)
             for place, (share, overlap) in enumerate(pairs)]  # fmt: skip
    made = figures([*cases, case(0, (0.9, 0.1, 0.0), number=400)], 0.5)
    assert made["small_medium_large"] == [2, 2, 2], "the last of the tumours was outlined by nobody"
    assert [made[f"dice_mean_{size}"][0] for size in SIZES] == [0.1, 0.45, 0.8]
    assert made["dice_mean"][0] == pytest.approx(2.7 / 7, abs=1e-4)


def test_what_became_of_rough_outlines_is_told_apart_from_the_others() -> None:
    tumour, normal = (0.2, 0.7, 0.1), (0.9, 0.1, 0.0)
    cases = [
        case(1, tumour, overlap=0.4, expected=0.5, number=1),
        case(0, tumour, overlap=0.0, expected=0.6, number=41),
        case(1, tumour, overlap=0.9, expected=0.7, number=81),
        case(0, normal, number=121),
    ]
    made = figures(cases, 0.5)
    assert made["rough_and_other_outlines"] == [2, 1], "the one that was not outlined is neither"
    assert made["dice_mean_of_rough_and_other"] == [0.2, 0.9]
    assert "rough_and_other_outlines" not in figures(cases[2:], 0.5)


def test_figures_of_cases_worked_out_by_hand() -> None:
    cases = [
        case(0, (0.9, 0.08, 0.02), number=1),
        case(0, (0.4, 0.5, 0.1), number=41, regions=1),
        case(1, (0.2, 0.7, 0.1), number=81, overlap=0.8, regions=1),
        case(2, (0.6, 0.1, 0.3), number=121, overlap=0.0),
    ]
    made = figures(cases, 0.5)
    assert made["images"] == 4
    assert made["normal_benign_malignant"] == [2, 1, 1]
    assert made["tumour_auc"][0] == pytest.approx(0.75)
    assert made["sensitivity"][0] == made["specificity"][0] == 0.5
    assert made["precision"][0] == made["f1"][0] == 0.5, "two are called a tumour, one of them rightly"
    assert made["accuracy"][0] == 0.5
    assert made["macro_f1"][0] == pytest.approx((2 / 4 + 2 / 3 + 0 / 1) / 3, abs=5e-5)
    assert made["confusion_rows_are_truth"] == [1, 1, 0, 0, 1, 0, 1, 0, 0]
    assert made["dice_mean"][0] == pytest.approx(0.4)
    assert made["hd95_px_median_of_outlined"][0] == pytest.approx(2.0), "of the one that is outlined"
    assert made["tumours_found"][0] == 0.5
    assert made["normals_with_a_region"][0] == 0.5
    assert made["answered_benign"] == [1, 1, 0]
    low, high = made["tumour_auc"][1:]
    assert 0.0 <= low <= 0.75 <= high <= 1.0
    assert made["blocks"] == len(made["tumour_auc_of_each"]) + 2 == 4
    by_patient = figures(cases, 0.5, "patients")
    assert by_patient["patients"] == 4
    assert set(made) - set(by_patient) == {"blocks", "blocks_with_tumours", "tumour_auc_of_each"}


ILL, ALL = (0, 1, 2, 10, 11, 12), (0, 1, 2, 10, 11, 12, 27, 28, 29)
"""Of the images below: malignant ones and benign ones; these and normal ones."""


class Faint(NamedTuple):
    """A bundle, the images that it is calibrated on, and what was chosen."""

    bundle: Bundle[KneeCard]
    data: Radiographs
    choice: Choice


def bench(bundle: Bundle[KneeCard], data: Radiographs, indices: tuple[int, ...] = ALL) -> Bench:
    return Bench(bundle, data, whole(bundle, indices))


@pytest.fixture(scope="module")
def faint(tmp_path_factory: pytest.TempPathFactory) -> Faint:
    """Bright tumours, two normals, and networks that give tumour pixels little, and some more than others."""
    folder = tmp_path_factory.mktemp("faint")
    data = read(collections.write(folder / "set", images=30, side=100), 256)
    said = {"bright": 1.0, "steepness": 12.0}
    made = {part: nets.net(role, **said) for part, role in (("whole", "global"), ("patch", "patch"))}
    bundle = of_kind(read_bundle(nets.bundle(folder / "knee", **made)), KneeCard)
    return Faint(bundle, data, choose(bench(bundle, data)))


def test_the_bias_is_the_one_at_which_tumours_are_outlined_best(faint: Faint) -> None:
    bundle, data, choice = faint
    tried = [None, *PIXEL_BIASES]
    cards = [
        replace(bundle.card, thresholds=replace(choice.thresholds, pixel_bias=bias), calibration=choice.calibration)
        for bias in tried
    ]
    cases = bench(bundle, data, ILL).examine(cards)
    fits = [float(np.mean([case.overlap for case in each])) for each in cases]
    assert choice.thresholds.pixel_bias is not None
    assert fits[tried.index(choice.thresholds.pixel_bias)] == max(fits) > fits[0]


def test_what_was_chosen_for_images_that_read_as_normal_is_what_the_pipeline_does(faint: Faint) -> None:
    """What calibration makes of cases that were all outlined, the pipeline gives with the card that comes of it."""
    bundle, data, choice = faint
    thresholds = replace(choice.thresholds, tumour=1.0, normal_total=1.0)
    quiet = replace(choice, thresholds=thresholds, calibration=Calibration(1e3, (0.0, 0.0, 0.0)))

    def cards(*alone: float) -> list[KneeCard]:
        each = [replace(thresholds, alone=one) for one in alone]
        return [replace(bundle.card, thresholds=one, calibration=quiet.calibration) for one in each]

    (everything,) = bench(bundle, data).examine(cards(0.0))
    alone = (float(np.median([one.expected for one in everything])), 1.0)
    regions = [sum(one.regions for one in everything)]
    for least, cases in zip(alone, bench(bundle, data).examine(cards(*alone)), strict=True):
        wanted = [_outlined_from(least, quiet, one) for one in everything]
        for one, other in zip(wanted, cases, strict=True):
            assert (one.regions, one.expected) == pytest.approx((other.regions, other.expected), nan_ok=True)
            assert one.overlap == pytest.approx(other.overlap, nan_ok=True)
        regions.append(sum(one.regions for one in wanted))
    assert regions[0] > regions[1] > regions[2] == 0


def test_a_bundle_is_calibrated_anew_whatever_it_was_before(faint: Faint) -> None:
    bundle, data, choice = faint
    before = replace(bundle.card, thresholds=replace(bundle.card.thresholds, pixel_bias=3.0, alone=0.99))
    assert choose(bench(replace(bundle, card=before), data)) == choice


def test_without_an_outlined_tumour_no_bias_is_chosen(faint: Faint) -> None:
    bundle, data, _ = faint
    nobodys = replace(data, masks=np.zeros_like(data.masks))
    assert choose(bench(bundle, nobodys)).thresholds.pixel_bias is None
