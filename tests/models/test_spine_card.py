"""The spine's card: what it decides, and what it refuses."""

from dataclasses import replace
from pathlib import Path

import pytest

from models.card import FileEntry, Stage, parse_card
from models.errors import CardError
from models.spine_card import (
    CLASSES,
    SYSTEM,
    SpineCalibration,
    SpineCard,
    SpineFusion,
    SpinePreprocess,
    SpineThresholds,
)
from models.stack_card import NORMALISATION, NeedSpec, StackInput
from models.wff import Weights
from node.cards import card_facts
from training.card_writer import toml

CARD = SpineCard(
    name="spine",
    system=SYSTEM,
    version="1.0.0",
    stage=Stage.RESEARCH,
    created="2026-01-01",
    intended_use="Research.",
    limitations="Phantoms.",
    licence="Apache-2.0",
    input=StackInput(
        modalities=("MR",),
        body_parts=("spine",),
        needs=(NeedSpec("t2", ("T2",), ("sagittal",), min_slices=5, fat_suppressed=False, at_most=2),),
        one_grid=False,
    ),
    preprocess=SpinePreprocess((192, 192), NORMALISATION, 1.3),
    files={role: FileEntry(f"{role}.onnx", "0" * 64) for role in ("detector", "classifier")},
    classes=CLASSES,
    thresholds=SpineThresholds(mask=0.4, certain=0.3),
    calibration=SpineCalibration(temperature=0.5, bias=0.1),
    fusion=SpineFusion(0.45, 0.45, 0.1, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.9)),
    measured={},
    training={"kind": "phantom"},
)


def _parsed(card):
    return parse_card(toml(card).encode(), Path("card.toml"))


def test_a_card_reads_back_as_it_was_written_with_the_rules_it_decides():
    card = _parsed(CARD)
    assert card == CARD
    rules = card.rules
    assert rules.weights == Weights(0.45, 0.45, 0.1)
    assert (rules.box, rules.certain, rules.temperature, rules.bias) == (0.4, 0.3, 0.5, 0.1)
    assert rules.ages[4] == 0.5
    assert card.contract("detector")["role"] == "detector"


def test_routing_reads_the_sequences_that_the_card_needs():
    facts = card_facts(CARD)
    assert [need.name for need in facts.needs] == ["t2"]
    assert facts.needs[0].planes == frozenset({"sagittal"})
    assert facts.needs[0].fat_suppressed is False
    assert facts.needs[0].at_most == 2
    assert not facts.one_grid


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"input": replace(CARD.input, one_grid=True)}, "one grid|own grid"),
        ({"input": replace(CARD.input, needs=(replace(CARD.input.needs[0], at_most=0),))}, "at_most"),
        ({"input": replace(CARD.input, needs=(replace(CARD.input.needs[0], planes=("oblique",)),))}, "planes"),
        ({"fusion": replace(CARD.fusion, ages=(0.5,) * 9)}, "10 decades"),
        ({"fusion": replace(CARD.fusion, ages=(0.5,) * 9 + (1.5,))}, "from 0 to 1"),
        ({"fusion": replace(CARD.fusion, detector=0.0, sequence=0.0)}, "above 0"),
        ({"fusion": replace(CARD.fusion, age=-0.1)}, "from 0 to 1"),
        ({"thresholds": SpineThresholds(mask=0.0, certain=0.3)}, "thresholds.mask"),
        ({"thresholds": SpineThresholds(mask=0.4, certain=1.3)}, "thresholds.certain"),
        ({"calibration": SpineCalibration(0.0, 0.0)}, "temperature"),
        ({"preprocess": SpinePreprocess((192, 192), "other", 1.3)}, "volume-percentiles"),
        ({"preprocess": SpinePreprocess((192, 192), NORMALISATION, 9.0)}, "margin"),
        ({"classes": ("malignant", "benign")}, "benign, malignant"),
        ({"files": {"detector": FileEntry("detector.onnx", "0" * 64)}}, "detector and classifier"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_card_may_not_say_is_refused(change, words):
    with pytest.raises(CardError, match=words):
        _parsed(replace(CARD, **change))
