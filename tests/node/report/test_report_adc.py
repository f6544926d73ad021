"""The ADC map that was computed here, as a series: valid, on the source's grid, in a unit, and what it came from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from models.diffusion import of_vendor
from models.findings import ImageRef
from models.volume import volume
from node.headers import facts_of
from node.report.adc import adc_image
from node.report.encode import encoded, part10
from node.report.envelope import envelope
from node.report.kind import Kind
from node.report.naming import about
from node.report.objects import run_hash_of
from node.report.profile import Profile
from node.report.request import AdcSeries
from node.report.subject import subject
from tests.node.report.made_cases import Case, mr_series, normal, read
from tests.node.report.validators import errors_of

LOW = "1.2.826.0.1.3680043.8.498.44"


def with_map(**header: object) -> Case:
    """An MR study whose source has a map, computed from itself and from a series of b = 0."""
    case = mr_series(**header)
    found, (source,) = case.findings.sources[0], case.sources
    values = np.random.default_rng(4).uniform(0, 3000, found.mask.shape).astype(np.float32)
    values[0, 0, :3] = 0.0, 70_000.0, 1234.4
    headers = {str(ds.SOPInstanceUID): ds for ds in source.datasets}
    pairs = tuple((ImageRef(f"{LOW}.{place}"), image) for place, image in enumerate(found.images))
    low = {pair[0].sop_instance_uid: next(iter(headers.values())) for pair in pairs}
    return replace(case, sources=(replace(source, adc=AdcSeries(values, pairs, (0.0, 800.0), headers | low)),))


@pytest.fixture(scope="module")
def case() -> Case:
    return with_map()


@pytest.fixture(scope="module")
def images(case: Case) -> list[Dataset]:
    return [read(each) for each in case.made() if each.kind is Kind.ADC]


def test_it_leaves_after_the_segmentation_and_before_the_report(case: Case) -> None:
    made = case.made()
    assert [each.kind for each in made] == [Kind.SEG, *[Kind.ADC] * 7, Kind.GSPS, *[Kind.SC] * 1, Kind.SR]
    assert [each.order for each in made] == list(range(len(made)))
    assert len({each.sop_instance_uid for each in made}) == len(made)
    (series,) = {each.series_instance_uid for each in made if each.kind is Kind.ADC}
    assert series not in {each.series_instance_uid for each in made if each.kind is not Kind.ADC}
    assert made == case.made(), "the same bytes whenever it is asked again"


@pytest.mark.checklist(1)
def test_it_is_valid(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "adc.dcm"
    path.write_bytes(part10(next(each for each in case.made() if each.kind is Kind.ADC)))
    assert errors_of(path) == []


def test_it_says_what_it_is_and_that_we_made_it(images: list[Dataset]) -> None:
    for number, ds in enumerate(images, start=1):
        assert list(ds.ImageType) == ["DERIVED", "SECONDARY", "DIFFUSION MAP", "ADC"]
        assert (ds.Modality, ds.Manufacturer, ds.InstanceNumber) == ("MR", "Osteon", number)
        assert ds.SeriesDescription == "AI ADC map S1 (knee-unet 1.2)"
        assert ds.DerivationCodeSequence[0].CodeValue == "113041"
        assert "b = 0, 800 s/mm2" in ds.DerivationDescription
        assert facts_of(ds).is_own_result, "it must never start a run"
    assert len({ds.SeriesInstanceUID for ds in images}) == len({ds.SeriesNumber for ds in images}) == 1


def test_it_lies_where_its_source_lies(case: Case, images: list[Dataset]) -> None:
    sources = {str(ds.SOPInstanceUID): ds for ds in case.sources[0].datasets}
    for ds, ref in zip(images, case.findings.sources[0].images, strict=True):
        source = sources[ref.sop_instance_uid]
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
            assert np.allclose(ds[keyword].value, source[keyword].value, atol=1e-4), keyword
        for keyword in ("FrameOfReferenceUID", "StudyInstanceUID", "Rows", "Columns", "SliceThickness"):
            assert ds[keyword].value == source[keyword].value, keyword
        assert (ds.PatientName, ds.PatientID) == (source.PatientName, source.PatientID)


def test_its_numbers_are_read_back_in_their_unit(case: Case, images: list[Dataset]) -> None:
    found = volume(images, is_adc=True)
    made, sentence = of_vendor(found.voxels, found.unit)
    assert "which is in 10-6.mm2/s" in sentence
    wanted = np.clip(case.sources[0].adc.values, 0, 65535)  # type: ignore[union-attr]  # it has one
    assert np.abs(made.values * 1000 - wanted).max() <= 0.51
    mapping = images[0].RealWorldValueMappingSequence[0]
    assert mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeValue == "113041"


def test_each_image_names_what_it_was_computed_from(case: Case, images: list[Dataset]) -> None:
    for place, (ds, ref) in enumerate(zip(images, case.findings.sources[0].images, strict=True)):
        named = [item.ReferencedSOPInstanceUID for item in ds.SourceImageSequence]
        assert named == [f"{LOW}.{place}", ref.sop_instance_uid]
        assert {item.PurposeOfReferenceCodeSequence[0].CodeValue for item in ds.SourceImageSequence} == {"121322"}


def test_the_report_names_it_as_evidence(case: Case, images: list[Dataset]) -> None:
    report = case.made()[-1]
    told = read(report).CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    listed = {each.ReferencedSOPInstanceUID for series in told for each in series.ReferencedSOPSequence}
    assert {ds.SOPInstanceUID for ds in images} <= listed


def test_a_receiver_that_does_not_want_it_gets_none(case: Case) -> None:
    kinds = frozenset(Kind) - {Kind.ADC}
    assert Kind.ADC not in {each.kind for each in case.asking(profile=Profile(kinds=kinds)).made()}
    assert Kind.ADC not in {each.kind for each in normal().made()}


def test_a_header_that_says_little_or_nonsense_gives_a_valid_image_all_the_same(tmp_path: Path) -> None:
    odd = with_map(ScanningSequence="XX", SequenceVariant=None, EchoTime="", SliceThickness=None, PatientPosition=None)
    path = tmp_path / "adc.dcm"
    path.write_bytes(part10(next(each for each in odd.made() if each.kind is Kind.ADC)))
    assert errors_of(path) == []


def test_the_images_are_what_they_would_be_if_each_were_made_alone(case: Case) -> None:
    source = case.sources[0]
    assert source.adc is not None
    run = run_hash_of(case.findings, case.sources, case.request)
    each = subject(case.findings.sources[0], source, case.findings.model, run, case.request)
    series = envelope(Kind.ADC, 1, each.key, run, case.findings.model, case.request, about(each, [each]))
    made = [one for one in case.made() if one.kind is Kind.ADC]
    alone = [encoded(adc_image(each, source.adc, index, series), each.carried) for index in range(len(made))]
    assert [one.data for one in made] == alone
