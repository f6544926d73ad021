"""Real files of many makers, and malformed ones: each gets a sensible decision. Run with -s to read them."""

from pathlib import Path

import pytest

from node import explain
from node.facts.kinds import Kind
from node.headers import facts_of, read_header_of_file
from node.route import CardFacts, Decision, Need, route
from node.series import SeriesFacts, series_of
from storage.states import Outcome

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
KNEE = CardFacts("knee", "1.0.0", frozenset({"CR", "DX"}), frozenset({"limb", "pelvis"}))
BRAIN = CardFacts(
    "any DWI", "0.0.1", frozenset({"MR"}), frozenset({"brain"}),
    needs=(Need("b0", frozenset({"DWI"}), b_values=(0, 0)), Need("b1000", frozenset({"DWI"}), b_values=(900, 1100))),
)  # fmt: skip


def decided(folder: str, pattern: str = "*", cards=(KNEE,)) -> tuple[Decision, tuple[SeriesFacts, ...]]:
    """The decision on all files of a folder as one study, printed for people to judge."""
    if not DATA.is_dir():
        pytest.skip(f"{DATA.name} with real files is not beside the project")
    files = sorted(
        path for path in (DATA / folder).rglob(pattern) if path.is_file() and path.suffix not in (".md", ".csv")
    )
    if not files:
        pytest.skip(f"{folder}/{pattern} is not in the data")
    series = series_of([facts_of(read_header_of_file(path), patient_key="one") for path in files])
    decision = route(series, cards)
    print(f"\n## {folder}/{pattern}\n{explain.as_text(series, decision)}")
    return decision, series


FOLDERS = {
    "xray/cr-extremity-fuji-mono1": None,
    "xray/cr-chest-philips-mono1-15bit": Outcome.NOT_APPLICABLE_BODYPART,
    "xray/cr-modality-lut-sequence": Outcome.NOT_APPLICABLE_BODYPART,  # teeth in a CR object
    "xray/dx-small-fuji-mono1": Outcome.NOT_APPLICABLE_BODYPART,  # the chest of a dog that nobody calls a dog
    "mr-series/knee-enhanced-sag": Outcome.NOT_APPLICABLE_MODALITY,
    "mr-series/nema-enhanced-brain": Outcome.NOT_APPLICABLE_MODALITY,
    "mr-series/ge-fse-pd-axial-oblique-head": Outcome.NOT_APPLICABLE_MODALITY,
    "mr-series/ge-3d-sag-fruit": Outcome.NOT_APPLICABLE_MODALITY,
    "mr-series/spine-singles": Outcome.NOT_APPLICABLE_MODALITY,
    "mr-series/divest-sag-t1-jpeg-jpl-raw": Outcome.NOT_APPLICABLE_MODALITY,
    "transfer-syntaxes/one-ct-in-many": Outcome.NOT_APPLICABLE_MODALITY,
    "transfer-syntaxes/htj2k": Outcome.NOT_APPLICABLE_MODALITY,
    "transfer-syntaxes/nema-mr3": Outcome.NOT_APPLICABLE_MODALITY,
    "nasty/charsets": Outcome.NOT_APPLICABLE_MODALITY,
    "nasty/fo-dicom": Outcome.NOT_APPLICABLE_MODALITY,
    "nasty/orthanc": Outcome.NOT_APPLICABLE_MODALITY,
    "seg-sr": Outcome.NOT_APPLICABLE_MODALITY,
}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_of_real_files_gets_a_sensible_decision(folder):
    decision, _ = decided(folder)
    assert decision.outcome is FOLDERS[folder]


def test_real_radiographs_of_a_lower_leg_are_read_as_such():
    decision, series = decided("xray/cr-extremity-fuji-mono1")
    assert len(decision.chosen.images) == 3
    assert "CR right lower leg AP" in decision.explanation[1]
    assert {image.kind for one in series for image in one.images} == {Kind.CR}


MR_FOLDERS = {  # folder: what a model of brain diffusion answers, (weighting, b-value, slices) of the stacks
    "mr-dwi/philips-achieva-b0-b1000-classic-private": (None, [("DWI", 0, 20), ("DWI", 1000, 20)]),
    "mr-dwi/philips-achieva-b0-40-273-800-noisepixels": (
        Outcome.NOT_APPLICABLE_BODYPART, [("DWI", 0, 3), ("DWI", 40, 3), ("DWI", 273, 3), ("DWI", 800, 3)],
    ),
    "mr-dwi/philips-ingenia-b0-b1000-private-un": (Outcome.NOT_APPLICABLE_BODYPART, [("DWI", 0, 2), ("DWI", 1000, 2)]),
    "mr-dwi/siemens-skyra-b0-b1000": (Outcome.NOT_APPLICABLE_BODYPART, [("DWI", 0, 4), ("DWI", 1000, 4)]),
    "mr-dwi/ge-750-b0-b1000": (Outcome.NOT_APPLICABLE_BODYPART, [("DWI", 0, 4), ("DWI", 1000, 4)]),
    "mr-dwi/ge-pioneer-b0-b1000": (None, [("DWI", 0, 2), ("DWI", 1000, 2)]),
    "mr-dwi/siemens-xa30-enhanced": (
        Outcome.NOT_APPLICABLE_SEQUENCE_MISSING,
        [("DWI", 0, 39), ("DWI", 2500, 39), ("ADC", None, 39), ("DWI", 2500, 39)],
    ),
    "mr-series/knee-enhanced-sag": (Outcome.NOT_APPLICABLE_BODYPART, [("T1", None, 1)]),
    "mr-series/ge-fse-pd-axial-oblique-head": (Outcome.NOT_APPLICABLE_SEQUENCE_MISSING, [("PD", None, 10)]),
    "mr-series/ge-3d-sag-fruit": (Outcome.NOT_APPLICABLE_BODYPART, [("T1", None, 10)]),
    "mr-series/spine-singles": (Outcome.NOT_APPLICABLE_BODYPART, [("T2", None, 1)]),
    "transfer-syntaxes/one-mr-in-nine": (Outcome.REJECTED_MOSAIC, [("unknown", None, 9)]),
    "transfer-syntaxes/enhanced-mr": (Outcome.AMBIGUOUS_BODYPART, [("T1", None, 10)]),
    "nasty/geometry/mixed-orientation-mr": (Outcome.NOT_APPLICABLE_BODYPART, [("T2", None, 2), ("T2", None, 2)]),
    "nasty/geometry/two-slices-mr": (Outcome.NOT_APPLICABLE_BODYPART, [("FLAIR", None, 2)]),
    "nasty/pydicom-reads-empty": (Outcome.NOT_APPLICABLE_BODYPART, [("T2", None, 1)]),
    "nasty/command-set-in-file": (Outcome.NOT_APPLICABLE_SEQUENCE_MISSING, [("PD", None, 1)]),
    "sts-mr/dicom/STS_002": (Outcome.NOT_APPLICABLE_SEQUENCE_MISSING, [("T1", None, 35)]),  # it calls itself derived
}  # fmt: skip


@pytest.mark.parametrize("folder", MR_FOLDERS)
def test_real_mr_of_many_makers_is_sorted_into_stacks(folder):
    outcome, stacks = MR_FOLDERS[folder]
    decision, series = decided(folder, cards=(KNEE, BRAIN))
    assert decision.outcome is outcome
    assert [(stack.weighting.value, stack.b_value, stack.slices) for one in series for stack in one.stacks] == stacks


def test_a_localizer_and_a_mixture_of_planes_are_localizers():
    _, series = decided("mr-series/nema-enhanced-brain")
    assert sorted(image.localizer or "" for one in series for image in one.images) == [
        "",
        "SeriesDescription says localizer",
    ]
    _, series = decided("nasty/geometry/mixed-orientation-mr")
    assert [one.localizer for one in series] == ["its slices lie in different planes"]


def test_every_malformed_file_alone_gets_a_decision():
    if not DATA.is_dir():
        pytest.skip(f"{DATA.name} with real files is not beside the project")
    seen: dict[str, int] = {}
    for path in sorted((DATA / "nasty").rglob("*.dcm")):
        series = series_of([facts_of(read_header_of_file(path))])
        decision = route(series, (KNEE, BRAIN))
        assert decision.outcome is not None
        explain.as_text(series, decision)
        line = f"{decision.outcome}: {decision.summary}"
        seen[line] = seen.get(line, 0) + 1
    for line, count in sorted(seen.items()):
        print(f"{count:4d} x {line}")
