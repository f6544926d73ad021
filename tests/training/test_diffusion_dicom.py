"""Phantom diffusion-weighted studies as DICOM: what the node reads of each vendor's dialect, chooses, and decodes."""

import json

import numpy as np
import pydicom
import pytest

from models.diffusion import two_point
from models.volume import volume
from node.cards import card_facts
from node.facts.geometry import Plane
from node.facts.mr import Weighting
from node.headers import facts_of
from node.route import route
from node.series import series_of
from training import cli
from training.diffusion.recipe import RECIPES
from training.diffusion.system import SYSTEM
from training.phantoms.diffusion import diffusion_patient
from training.phantoms.diffusion_dicom import Dialect, datasets, write
from training.stacks.system import recipe_card

CARD = card_facts(recipe_card(SYSTEM, RECIPES["small"]))


@pytest.fixture(scope="module")
def patient():
    return diffusion_patient(11, tumours=1, region="thigh", b_values=(0.0, 400.0, 800.0), side=48, slices=8)


@pytest.fixture(scope="module", params=list(Dialect))
def study(request, patient):
    return datasets(patient, request.param)


def _chosen(study):
    decision = route(series_of([facts_of(ds) for ds in study]), (CARD,))
    assert decision.chosen is not None, decision.explanation
    by_uid = {str(ds.SOPInstanceUID): ds for ds in study}
    return {name: volume([by_uid[uid] for uid in uids]) for name, uids in decision.chosen.inputs.items()}


def test_the_node_reads_an_axial_diffusion_weighted_image_of_its_body_part(study):
    facts = [facts_of(ds) for ds in study]
    assert {each.geometry.plane for each in facts} == {Plane.AXIAL}
    assert facts[-1].mr.weighting is Weighting.DWI
    assert {str(each.body_part) for each in facts} == {"thigh"}


def test_the_node_reads_every_b_value_without_a_contradiction(study):
    facts = [facts_of(ds) for ds in study]
    assert {each.mr.diffusion.b_value for each in facts} == {0.0, 400.0, 800.0}
    assert not [note for each in facts for note in each.notes if "b =" in note]


def test_the_pair_of_0_and_800_is_chosen_and_decodes_to_what_was_drawn(study, patient):
    chosen = _chosen(study)
    assert {"low", "high"} <= set(chosen)
    assert np.array_equal(chosen["low"].voxels, patient.images[0].astype(np.float32))
    assert np.array_equal(chosen["high"].voxels, patient.images[2].astype(np.float32))
    assert chosen["low"].grid.is_that_of(chosen["high"].grid)
    assert chosen["low"].grid.spacing == pytest.approx(patient.spacing, abs=1e-3)


def test_the_adc_of_the_tumour_comes_back(study, patient):
    chosen = _chosen(study)
    made = two_point(chosen["low"].voxels, chosen["high"].voxels, 0.0, 800.0)
    assert made.values[(patient.lesions == 1) & made.valid].mean() == pytest.approx(patient.adc[0], abs=0.25)


def test_instances_have_uids_of_their_own(study):
    uids = [str(ds.SOPInstanceUID) for ds in study]
    assert len(set(uids)) == len(uids)
    assert len({str(ds.StudyInstanceUID) for ds in study}) == 1


def test_a_study_is_written_with_its_truth(tmp_path, patient):
    home = write(patient, tmp_path, Dialect.ENHANCED)
    assert len(list(home.glob("*.dcm"))) == 3
    assert json.loads((home / "truth.json").read_text())["adc_1e-3_mm2_s"] == pytest.approx(list(patient.adc))
    with np.load(home / "truth.npz") as truth:
        assert np.array_equal(truth["lesions"], patient.lesions)


def test_the_command_writes_studies_in_the_dialect_of_the_seed(tmp_path):
    assert (
        cli.main(["phantoms", "--part", "diffusion", "--answer", "normal", "--seed", "1", "--out", str(tmp_path)]) == 0
    )
    (home,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert (tmp_path / "normals.txt").read_text() == f"{home.name}\n"
    assert home.name == "diffusion-00001-siemens"
    ds = pydicom.dcmread(next(home.glob("*.dcm")))
    assert (ds.Rows, ds.Columns) == (128, 128)
    assert len(list(home.glob("*.dcm"))) == 70
