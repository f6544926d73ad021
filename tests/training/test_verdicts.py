"""Benign or malignant, as labels say it."""

import pytest

from training.archive.verdicts import kind_of
from training.errors import DataFault


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (["benign tumour"], 1),
        (["Malignant"], 2),
        (["enchondroma", "exostosis"], 1),
        (["osteosarcoma"], 2),
        (["malignant giant cell tumour"], 2),
    ],
)
def test_words_go_before_the_kind_of_tumour(said: list[str], kind: int) -> None:
    assert kind_of(said) == kind


@pytest.mark.parametrize("said", [["non-malignant"], ["not malignant"], ["Nonmalignant"], ["not benign"], ["benign?"]])
def test_what_is_denied_or_doubted_is_no_verdict(said: list[str]) -> None:
    with pytest.raises(DataFault, match="denies or doubts"):
        kind_of(said)


@pytest.mark.parametrize("said", [["lesion"], ["benign", "malignant"], []])
def test_neither_or_both_is_none(said: list[str]) -> None:
    with pytest.raises(DataFault, match="neither|both"):
        kind_of(said)
