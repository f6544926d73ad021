"""A study that is analysed again: new objects that name the old ones, and the same names for the same lesions."""

from dataclasses import replace

import numpy as np
import pytest

from node.analyse import open_desk
from node.job import Setup
from storage.states import Outcome
from tests.models import stack_nets
from tests.models.stacks import body, single_frames
from tests.node.report.sr_reading import groups, texts, tracking_uids
from tests.node.test_analyse import diffusion_series, job, results

STORED, BALL = body()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("node")
    for name in ("models", "journal", "results"):
        (folder / name).mkdir()
    stack_nets.bundle(folder / "models" / "limb")
    stack_nets.bundle(folder / "models" / "diffusion", stack_nets.DIFFUSION, channel=1)
    return folder


@pytest.fixture(scope="module")
def desk(place):
    return open_desk(
        Setup(str(place / "models"), str(place / "journal"), str(place / "results"), "cpu", 1, "ERROR", "TEST")
    )


def second(place, datasets, *former):
    """The job of the run after those analyses, the newest of them last."""
    reports = [file for analysis in reversed(former) for file in analysis.results if file.kind == "sr"]
    made = job(place, datasets, former[-1].fingerprint)
    return replace(made, version=1 + len(former), former_results=former[-1].results, earlier_reports=tuple(reports))


def lesions(report):
    """The tracking UIDs of the groups that speak of a lesion."""
    return [tracking_uids(group)[0] for group in groups(report) if "AI lesion" in texts(group, "tracking")[0]]


def by_model(place, analysis, kind="sr"):
    """Its objects of a kind by the name of the model in their series' description."""
    return {str(ds.SeriesDescription).split("(")[-1].split(" ")[0]: ds for each, ds in results(place, analysis)
            if each == kind}  # fmt: skip


@pytest.mark.checklist(53)
def test_a_late_series_gives_one_new_result_that_names_the_old_and_keeps_the_names_of_its_lesions(place, desk):
    t1 = single_frames(STORED)
    low, high = diffusion_series()
    first = desk.analyse(job(place, t1))
    again = desk.analyse(second(place, [*t1, *low, *high], first))
    assert again.outcome is Outcome.OK_FINDINGS
    assert not again.unchanged
    uids = {each.sop_instance_uid for each in first.results} | {each.series_instance_uid for each in first.results}
    assert not uids & {each.sop_instance_uid for each in again.results}
    assert not uids & {each.series_instance_uid for each in again.results}
    old = by_model(place, first)["limb"]
    for report in by_model(place, again).values():
        named = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
        assert named.SeriesInstanceUID == old.SeriesInstanceUID
        assert named.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == old.SOPInstanceUID
    new = by_model(place, again)
    assert lesions(new["limb"]) == lesions(old) != []
    assert not set(lesions(new["diffusion"])) & set(lesions(old)), "another model saw another lesion of its own"
    seg = by_model(place, again, "seg")["limb"]
    assert [item.TrackingUID for item in seg.SegmentSequence] == lesions(old)


def test_late_slices_of_a_series_leave_its_lesions_their_names(place, desk):
    t1 = single_frames(STORED)
    first = desk.analyse(job(place, t1[:4]))
    again = desk.analyse(second(place, t1, first))
    assert first.fingerprint != again.fingerprint
    assert lesions(by_model(place, again)["limb"]) == lesions(by_model(place, first)["limb"]) != []


def test_a_lesion_that_one_run_missed_has_its_name_again_in_the_next(place, desk):
    t1 = single_frames(STORED)
    first = desk.analyse(job(place, t1[:4]))
    elsewhere = np.where(STORED == 1000, 310, STORED)
    elsewhere[2:5, 38:46, 20:34] = 1000
    missed = desk.analyse(second(place, single_frames(elsewhere.astype(np.int16))[:5], first))
    assert not set(lesions(by_model(place, missed)["limb"])) & set(lesions(by_model(place, first)["limb"]))
    third = desk.analyse(second(place, t1, first, missed))
    assert lesions(by_model(place, third)["limb"]) == lesions(by_model(place, first)["limb"])


@pytest.mark.checklist(54)
def test_a_late_series_that_no_model_uses_gives_no_new_result(place, desk):
    t1 = single_frames(STORED)
    first = desk.analyse(job(place, t1))
    other = single_frames(STORED[:4], series=4, SeriesDescription="localizer")
    assert desk.analyse(second(place, [*t1, *other], first)).unchanged


def test_an_earlier_report_that_is_damaged_costs_only_the_names_of_its_lesions(place, desk, caplog):
    t1 = single_frames(STORED)
    first = desk.analyse(job(place, t1[:4]))
    asked = second(place, t1, first)
    broken = tuple(replace(each, sha256="0" * 64) for each in asked.earlier_reports)
    again = desk.analyse(replace(asked, earlier_reports=broken))
    assert again.outcome is Outcome.OK_FINDINGS
    named = {uid for each in (again, first) for uid in lesions(by_model(place, each)["limb"])}
    assert len(named) == 2
    assert "its lesions get new names" in caplog.text
