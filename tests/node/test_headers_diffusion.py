"""b-values in the dialects of the vendors, as their scanners write them."""

import struct

import pytest
from pydicom.dataset import Dataset

from node.facts.csa import csa_value
from node.facts.diffusion import rounded, unbiased
from node.facts.mr import Weighting
from node.series import series_of
from tests.node.made_headers import AXIAL, facts, header, item, mr

EPI = {"ScanningSequence": ["SE", "EP"], "RepetitionTime": 6000, "EchoTime": 70}


def _private(ds, group, creator, element, vr, value, block=0x10):
    """Add a private attribute in a block of its creator."""
    ds.add_new((group, block), "LO", creator)
    ds.add_new((group, block << 8 | element), vr, value)
    return ds


def _csa(**entries):
    """A Siemens CSA header with one item per entry, or of a list as many as it has."""
    body = b""
    for name, said in entries.items():
        texts = [said] if isinstance(said, str) else said
        body += name.encode().ljust(64, b"\x00") + struct.pack("<i4s3i", 1, b"IS", 6, len(texts), 77)
        for value in (text.encode() + b"\x00" for text in texts):
            body += struct.pack("<4i", len(value), len(value), 77, len(value)) + value.ljust(
                (len(value) + 3) // 4 * 4, b"\x00"
            )
    return b"SV10\x04\x03\x02\x01" + struct.pack("<2I", len(entries), 77) + body


def _siemens(value, block=0x10):
    return _private(mr(Manufacturer="SIEMENS", **EPI), 0x0019, "SIEMENS MR HEADER", 0x0C, "IS", value, block)


def _ge(value, **more):
    return _private(mr(Manufacturer="GE MEDICAL SYSTEMS", **(EPI | more)), 0x0043, "GEMS_PARM_01", 0x39, "IS", value)


def _philips(value, **more):
    ds = mr(Manufacturer="Philips Medical Systems", **(EPI | more))
    return _private(ds, 0x2001, "Philips Imaging DD 001", 0x03, "FL", value)


def _uih(element, value):
    ds = mr(Manufacturer="UIH", **EPI)
    return _private(ds, 0x0065, "Image Private Header", element, "FD", value)


def _in_sequence(value):
    return mr(MRDiffusionSequence=[item(DiffusionBValue=value)], **EPI)


def _with_csa(raw):
    return _private(mr(Manufacturer="SIEMENS", **EPI), 0x0029, "SIEMENS CSA HEADER", 0x10, "OB", raw)


DIALECTS = {
    "public": (mr(DiffusionBValue=800.0, **EPI), 800),
    "public b0": (mr(DiffusionBValue=0.0, **EPI), 0),
    "public in the sequence": (_in_sequence(400.0), 400),
    "Siemens": (_siemens("800"), 800),
    "Siemens, second block": (_siemens("800", block=0x11), 800),
    "Siemens near zero": (_siemens("5"), 0),
    "Siemens low": (_siemens("47"), 50),
    "Siemens in the CSA header": (_with_csa(_csa(B_value="1000", SliceThickness="5.0")), 1000),
    "Siemens CSA, not the first entry": (_with_csa(_csa(NumberOfImages="1", B_value="50")), 50),
    "Siemens CSA without a b-value": (_with_csa(_csa(NumberOfImages="1")), None),
    "Siemens CSA cut short": (_with_csa(_csa(B_value="1000")[:90]), None),
    "GE": (_ge(["800", "8", "0", "0"]), 800),
    "GE with a bias of 1e9": (_ge(["1000000800", "8", "0", "0"]), 800),
    "GE with a bias of 2**30": (_ge([str(2**30 + 800), "8", "0", "0"]), 800),
    "GE b0": (_ge(["0", "8", "0", "0"]), 0),
    "GE, not echo-planar": (_ge(["800", "8", "0", "0"], ScanningSequence=["SE"]), None),
    "GE, public with bias": (mr(Manufacturer="GE", DiffusionBValue=1000000800.0, **EPI), 800),
    "Philips": (_philips(800.0), 800),
    "Philips, none": (_philips(-1.0), None),
    "UIH": (_uih(0x09, 797.0), 797),
    "UIH, what the user asked for": (_uih(0x0A, 800.0), 800),
    "Canon": (mr(Manufacturer="CANON_MEC", DiffusionBValue=800.0, **EPI), 800),
    "by the name of the sequence": (mr(SequenceName="*ep_b800t", **EPI), 800),
    "by the description": (mr(SeriesDescription="DWI b=800 tra", **EPI), 800),
    "a description without echo-planar": (mr(SeriesDescription="b800", ScanningSequence=["SE"]), None),
    "nothing": (mr(**EPI), None),
    "absurd": (mr(DiffusionBValue=5e7 + 99_000, **EPI), None),
}


@pytest.mark.checklist(34)
@pytest.mark.parametrize("implicit", [False, True], ids=["explicit", "implicit"])
@pytest.mark.parametrize("name", DIALECTS)
def test_a_b_value_is_read_in_every_dialect(name, implicit):
    ds, expected = DIALECTS[name]
    assert facts(ds, implicit).mr.diffusion.b_value == expected


def test_a_b_value_written_as_unknown_bytes_is_read():
    ds = _philips(800.0)
    del ds[0x20011003]
    ds.add_new(0x20011003, "UN", struct.pack("<f", 800.0))
    assert facts(ds).mr.diffusion.b_value == 800


def test_a_value_without_its_private_creator_is_read_for_its_maker_only():
    ds = _siemens("800")
    del ds[0x00190010]
    found = facts(ds)
    assert found.mr.diffusion.b_value == 800
    assert any("Private Creator" in note for note in found.notes)
    ds.Manufacturer = "Another"
    assert facts(ds).mr.diffusion.b_value is None


def test_another_creator_in_the_group_is_never_taken_for_the_maker():
    ds = mr(Manufacturer="SIEMENS", **EPI)
    _private(ds, 0x0019, "SOMEBODY ELSE", 0x0C, "IS", "800")
    assert facts(ds).mr.diffusion.b_value is None


def test_public_wins_over_private_and_the_contradiction_is_told():
    ds = _siemens("400")
    ds.DiffusionBValue = 800.0
    found = facts(ds)
    assert found.mr.diffusion.b_value == 800
    assert "DiffusionBValue says b = 800, the private value of Siemens says b = 400." in found.notes
    assert found.mr.diffusion.is_contradictory


def test_philips_b0_alone_does_not_make_an_image_diffusion_weighted():
    found = facts(_philips(0.0, ScanningSequence=["SE"], RepetitionTime=4000, EchoTime=90))
    assert found.mr.weighting is Weighting.T2


def test_in_a_diffusion_series_an_image_without_b_value_is_its_b0():
    slices = [mr(ImagePositionPatient=[0, 0, 3 * n], DiffusionBValue=800.0, **EPI) for n in range(3)]
    slices += [mr(ImagePositionPatient=[0, 0, 3 * n], RepetitionTime=6000, EchoTime=70) for n in range(3)]
    (series,) = series_of([facts(ds) for ds in slices])
    assert [(stack.weighting, stack.b_value, stack.slices) for stack in series.stacks] == [
        (Weighting.DWI, 0, 3),
        (Weighting.DWI, 800, 3),
    ]


@pytest.mark.parametrize(
    ("ds", "expected"),
    [
        (mr(ImageType=["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE", "MOSAIC"], **EPI), True),
        (_private(mr(**EPI), 0x0065, "Image Private Header", 0x50, "DS", "42"), True),
        (_private(mr(**EPI), 0x0065, "Image Private Header", 0x50, "DS", "1"), False),
        (mr(**EPI), False),
    ],
    ids=["Siemens mosaic", "UIH grid", "UIH single", "plain"],
)
def test_tiles_of_slices_are_seen(ds, expected):
    assert facts(ds).mr.diffusion.is_mosaic is expected


def test_frames_of_an_enhanced_object_have_their_own_b_values():
    frames = [
        item(MRDiffusionSequence=[item(DiffusionBValue=float(b), DiffusionDirectionality="DIRECTIONAL")])
        for b in (0, 800)
    ]
    orientation = item(PlaneOrientationSequence=[item(ImageOrientationPatient=AXIAL)])
    ds = header(
        "Enhanced MR", NumberOfFrames=2, PerFrameFunctionalGroupsSequence=frames,
        SharedFunctionalGroupsSequence=[orientation], ImageType=["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"],
    )  # fmt: skip
    found = facts(ds).mr
    assert found.weighting is Weighting.DWI
    assert found.diffusion.frame_b_values == (0, 800)
    assert found.diffusion.b_value is None


@pytest.mark.checklist(34)
def test_biases_and_rounding():
    assert [unbiased(value) for value in (0, 800, 1e9, 1e9 + 1500, 2**30 + 50)] == [0, 800, 0, 1500, 50]
    assert [rounded(value) for value in (0, 10, 24, 26, 49, 50, 400)] == [0, 0, 0, 50, 50, 50, 400]


@pytest.mark.parametrize("raw", [b"", b"SV10", b"SV10" * 40, _csa(B_value="x"), _csa(B_value="800")[:-3], bytes(5000)])
def test_a_damaged_csa_header_gives_nothing(raw):
    assert csa_value(raw, "B_value") in (None, 800.0)


def test_a_data_set_without_anything_has_no_diffusion():
    assert facts(Dataset()).mr is None
