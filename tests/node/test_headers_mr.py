"""What MR headers say of weighting, fat, contrast agent and planes: rows as scanners write them."""

import pytest

from node.facts.geometry import Plane
from node.facts.mr import FatSuppression, Weighting
from node.identity import MANUFACTURER, MODEL_NAME
from tests.node.made_headers import AXIAL, CORONAL, SAGITTAL, facts, header, item, mr

SE, GR, IR, EP = ["SE"], ["GR"], ["SE", "IR"], ["SE", "EP"]
T1, T2, PD, STIR = Weighting.T1, Weighting.T2, Weighting.PD, Weighting.STIR
NONE, FAT, WATER = FatSuppression.NONE, FatSuppression.FAT_SAT, FatSuppression.WATER

#   description, scanning sequence, TR, TE, TI, flip, more, weighting, fat suppression, contrast agent
ROWS = [
    ("t1_tse_cor", SE, 600, 12, None, 150, {}, T1, NONE, False),
    ("t1_tse_fs_tra KM", SE, 650, 11, None, 150, {"ScanOptions": "FS"}, T1, FAT, True),
    ("T1 SE SAG", SE, 500, 15, None, 90, {}, T1, NONE, False),
    ("AX T1 FS +C", SE, 700, 10, None, 90, {}, T1, FAT, True),
    ("AX T1 POST GD", SE, 700, 10, None, 90, {}, T1, NONE, True),
    ("COR T1 post op", SE, 700, 10, None, 90, {}, T1, NONE, False),
    ("T1 tra nativ", SE, 700, 10, None, 90, {}, T1, NONE, False),
    ("t1 without contrast", SE, 700, 10, None, 90, {}, T1, NONE, False),
    ("T1 ohne KM", SE, 700, 10, None, 90, {}, T1, NONE, False),
    ("T1 sans injection", SE, 700, 10, None, 90, {}, T1, NONE, False),
    ("T1 avec injection", SE, 700, 10, None, 90, {}, T1, NONE, True),
    ("T1 增强", SE, 700, 10, None, 90, {}, T1, NONE, True),
    ("T1 造影 脂肪抑制", SE, 700, 10, None, 90, {}, T1, FAT, True),
    ("T1 조영", SE, 700, 10, None, 90, {}, T1, NONE, True),
    ("t2_tse_sag", SE, 4000, 100, None, 150, {}, T2, NONE, False),
    ("t2_tse_fs_tra", SE, 3500, 60, None, 150, {"ScanOptions": ["PFP", "FS"]}, T2, FAT, False),
    ("T2 SPAIR cor", SE, 3500, 70, None, 90, {}, T2, FAT, False),
    ("T2W_TSE", SE, 3000, 90, None, 90, {}, T2, NONE, False),
    ("FSE T2", SE, 3000, 90, 0, 90, {}, T2, NONE, False),
    ("pd_tse_sag", SE, 3000, 30, None, 150, {}, PD, NONE, False),
    ("PD FS SAG", SE, 3200, 35, None, 150, {}, PD, FAT, False),
    ("PDfs cor", SE, 3200, 40, None, 150, {}, PD, FAT, False),
    ("PDW_SPAIR", SE, 2500, 30, None, 90, {}, PD, FAT, False),
    ("DP FATSAT", SE, 2500, 30, None, 90, {}, PD, FAT, False),
    ("no words", SE, 2500, 20, None, 90, {}, PD, NONE, False),
    ("", SE, 450, 14, None, 90, {}, T1, NONE, False),
    ("", SE, 5000, 100, None, 90, {}, T2, NONE, False),
    ("COR STIR", IR, 4500, 40, 150, 150, {}, STIR, FatSuppression.STIR, False),
    ("tirm_cor", IR, 5000, 60, 220, 150, {}, STIR, FatSuppression.STIR, False),
    ("", IR, 4500, 40, 160, 150, {}, STIR, FatSuppression.STIR, False),
    ("STIR sag", SE, 4500, 60, None, 150, {}, STIR, FatSuppression.STIR, False),
    ("t2 tirm", SE, 4500, 80, None, 150, {}, STIR, FatSuppression.STIR, False),
    ("FLAIR", IR, 9000, 100, 2500, 150, {}, Weighting.FLAIR, NONE, False),
    ("t2_tirm_dark-fluid", IR, 9000, 100, 2500, 150, {}, Weighting.FLAIR, NONE, False),
    ("T1 IR TSE", IR, 2000, 12, 800, 150, {}, T1, NONE, False),
    ("fl3D_t1_sag", GR, 11, 4.9, None, 15, {}, T1, NONE, False),
    ("t1_vibe_we", GR, 9, 4.5, None, 20, {}, T1, WATER, False),
    ("MPRAGE", ["GR", "IR"], 2000, 3, 900, 8, {}, T1, NONE, False),
    ("Accelerated SAG IR-SPGR", GR, 6.9, 2.8, 400, 11, {}, T1, NONE, False),
    ("t2*_fl2d", GR, 500, 18, None, 20, {}, Weighting.T2_STAR, NONE, False),
    ("T2 FFE", GR, 600, 16, None, 25, {}, Weighting.T2_STAR, NONE, False),
    ("medic_tra", GR, 700, 18, None, 30, {}, Weighting.T2_STAR, NONE, False),
    ("DESS sag", GR, 16, 5, None, 25, {}, Weighting.OTHER, NONE, False),
    ("T2 map", SE, 1500, 50, None, 90, {}, Weighting.OTHER, NONE, False),
    ("TOF", GR, 25, 4, None, 20, {}, Weighting.OTHER, NONE, False),
    ("t2_tse_dixon_cor_W", SE, 4000, 80, None, 150, {}, T2, WATER, False),
    ("t1 dixon", SE, 600, 12, None, 150, {"ImageType": ["DERIVED", "PRIMARY", "DIXON", "WATER"]}, T1, WATER, False),
    ("t1 dixon", SE, 600, 12, None, 150, {"ImageType": ["ORIGINAL", "PRIMARY", "DIXON", "IN_PHASE"]}, T1, NONE, False),
    ("t1 dixon", SE, 600, 12, None, 150, {"ImageType": ["DERIVED", "PRIMARY", "DIXON", "FAT"]}, T1, NONE, False),
    ("ep2d_diff_b50_800", EP, 6000, 70, None, 90, {}, Weighting.DWI, NONE, False),
    ("resolve_dwi", EP, 6000, 70, None, 90, {"DiffusionBValue": 800.0}, Weighting.DWI, NONE, False),
    ("diff_ADC", EP, 6000, 70, None, 90, {"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]},
     Weighting.ADC, NONE, False),
    ("Apparent Diffusion Coefficient (mm2/s)", EP, 6000, 70, None, 90,
     {"ImageType": ["DERIVED", "SECONDARY", "PROCESSED"]}, Weighting.ADC, NONE, False),
    ("trace", EP, 6000, 70, None, 90,
     {"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"], "DiffusionBValue": 800}, Weighting.DWI, NONE, False),
    # contradictions and gaps
    ("T1 sag", SE, 4000, 100, None, 90, {}, T2, NONE, False),  # the header wins for T1 and T2
    ("T2 sag", SE, 500, 12, None, 90, {}, T1, NONE, False),
    ("T2 sag", SE, 3000, 30, None, 90, {}, Weighting.AMBIGUOUS, NONE, False),
    ("PD sag", SE, 3000, 90, None, 90, {}, Weighting.AMBIGUOUS, NONE, False),
    ("T1 sag", SE, 1200, 20, None, 90, {}, T1, NONE, False),  # between the ranges, the words decide
    ("", SE, 1200, 20, None, 90, {}, Weighting.UNKNOWN, NONE, False),
    ("T1 and T2", SE, 1200, 20, None, 90, {}, Weighting.UNKNOWN, NONE, False),
    ("T2 sag", None, None, None, None, None, {}, T2, NONE, False),
    ("T10 to L2", None, None, None, None, None, {}, Weighting.UNKNOWN, NONE, False),
    ("", None, None, None, None, None, {}, Weighting.UNKNOWN, NONE, False),
]  # fmt: skip


@pytest.mark.checklist(36)
@pytest.mark.parametrize("row", ROWS, ids=[f"{n} {row[0] or 'no words'}" for n, row in enumerate(ROWS)])
def test_a_row_of_the_header_gives_weighting_fat_and_contrast_agent(row):
    words, sequence, tr, te, ti, flip, more, weighting, fat, contrast = row
    values = {
        "SeriesDescription": words, "ScanningSequence": sequence, "RepetitionTime": tr, "EchoTime": te,
        "InversionTime": ti, "FlipAngle": flip, "SpecificCharacterSet": "ISO_IR 192",
    }  # fmt: skip
    found = facts(mr(**{keyword: value for keyword, value in values.items() if value is not None}, **more)).mr
    assert (found.weighting, found.fat_suppression, found.has_contrast) == (weighting, fat, contrast)


def test_a_contradiction_of_header_and_words_is_told():
    found = facts(mr(SeriesDescription="T1", ScanningSequence="SE", RepetitionTime=4000, EchoTime=100))
    assert "TR, TE and TI say T2, the description says T1." in found.notes


@pytest.mark.parametrize(
    ("agent", "start", "acquired", "expected"),
    [
        ("Gadovist", "101500", "102000", True),
        ("Gadovist", "101500", "101000", False),
        ("Gadovist", None, "101000", True),
        ("Gadovist", "10", "09", False),
        ("NONE", None, None, False),
        ("", None, None, False),
    ],
)
def test_an_agent_counts_when_the_image_came_after_it(agent, start, acquired, expected):
    values = {"ContrastBolusAgent": agent, "ContrastBolusStartTime": start, "AcquisitionTime": acquired}
    found = facts(mr(**{keyword: value for keyword, value in values.items() if value is not None}))
    assert found.mr.has_contrast is expected


def _turned(plane, degrees):
    """A plane turned about its row axis."""
    import math

    row, column = plane[:3], plane[3:]
    normal = [row[1] * column[2] - row[2] * column[1], row[2] * column[0] - row[0] * column[2],
              row[0] * column[1] - row[1] * column[0]]  # fmt: skip
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [*row, *(c * a + s * b for a, b in zip(column, normal, strict=True))]


PLANES = [
    (AXIAL, "", "KNEE", Plane.AXIAL, False),
    (SAGITTAL, "", "KNEE", Plane.SAGITTAL, False),
    (CORONAL, "", "KNEE", Plane.CORONAL, False),
    (_turned(AXIAL, 20), "", "KNEE", Plane.AXIAL, False),
    (_turned(AXIAL, 35), "", "KNEE", Plane.AXIAL, True),
    (_turned(CORONAL, -30), "", "KNEE", Plane.CORONAL, True),
    (_turned(AXIAL, 45), "", "KNEE", Plane.AMBIGUOUS, True),
    (_turned(AXIAL, 45), "t1 cor", "KNEE", Plane.CORONAL, True),
    (SAGITTAL, "t1 cor", "KNEE", Plane.SAGITTAL, False),  # the axes win, and the contradiction is told
    (SAGITTAL, "t1 cor", "HAND", Plane.CORONAL, False),  # an arm lies in any direction: the words win
    (AXIAL, "PD sag", "WRIST", Plane.SAGITTAL, False),
    (CORONAL, "T2 transversal", "FINGER", Plane.AXIAL, False),
    (SAGITTAL, "", "HAND", Plane.SAGITTAL, False),
    (None, "t2_tse_sag", "KNEE", Plane.SAGITTAL, False),
    (None, "T1 ax", "KNEE", Plane.AXIAL, False),
    (None, "T1 矢状断", "KNEE", Plane.SAGITTAL, False),
    (None, "T1 轴位", "KNEE", Plane.AXIAL, False),
    (None, "T1 관상", "KNEE", Plane.CORONAL, False),
    (None, "coronary sag", "KNEE", Plane.SAGITTAL, False),
    (None, "ax and cor", "KNEE", Plane.UNKNOWN, False),
    (None, "", "KNEE", Plane.UNKNOWN, False),
    ([1, 0, 0, 1, 0, 0], "", "KNEE", Plane.UNKNOWN, False),  # no right angle
    ([0, 0, 0, 0, 0, 0], "", "KNEE", Plane.UNKNOWN, False),
    ([1, 0, 0], "", "KNEE", Plane.UNKNOWN, False),
]


@pytest.mark.checklist(35)
@pytest.mark.parametrize("row", PLANES, ids=[f"{n} {row[1]} {row[2]}" for n, row in enumerate(PLANES)])
def test_a_plane_comes_from_the_axes_or_from_words(row):
    orientation, words, part, plane, oblique = row
    ds = mr(SeriesDescription=words, BodyPartExamined=part, SpecificCharacterSet="ISO_IR 192")
    if orientation is None:
        del ds.ImageOrientationPatient
    else:
        ds.ImageOrientationPatient = [f"{part:.6f}" for part in orientation]
    found = facts(ds).geometry
    assert (found.plane, found.is_oblique) == (plane, oblique)


def _enhanced(**shared):
    shared_groups = item(**{name: [value] for name, value in shared.items()})
    frames = [item(PlanePositionSequence=[item(ImagePositionPatient=[0, 0, 4.0 * n])]) for n in range(5)]
    return header(
        "Enhanced MR", NumberOfFrames=5, SharedFunctionalGroupsSequence=[shared_groups],
        PerFrameFunctionalGroupsSequence=frames, ImageType=["ORIGINAL", "PRIMARY", "T1", "NONE"],
    )  # fmt: skip


def test_an_enhanced_object_says_the_same_as_its_single_slices():
    ds = _enhanced(
        PlaneOrientationSequence=item(ImageOrientationPatient=AXIAL),
        MRTimingAndRelatedParametersSequence=item(RepetitionTime=600, FlipAngle=90),
        MREchoSequence=item(EffectiveEchoTime=12.0),
        MRImageFrameTypeSequence=item(AcquisitionContrast="T1"),
    )
    found = facts(ds)
    assert found.mr.weighting is T1
    assert (found.mr.repetition_ms, found.mr.echo_ms) == (600, 12)
    assert found.geometry.plane is Plane.AXIAL
    assert len(found.geometry.positions) == 5


def test_several_planes_in_one_object_are_ambiguous():
    ds = _enhanced(MRImageFrameTypeSequence=item(AcquisitionContrast="T1"))
    for frame, plane in zip(
        ds.PerFrameFunctionalGroupsSequence, [AXIAL, AXIAL, CORONAL, CORONAL, SAGITTAL], strict=True
    ):
        frame.PlaneOrientationSequence = [item(ImageOrientationPatient=plane)]
    found = facts(ds).geometry
    assert found.plane is Plane.AMBIGUOUS
    assert len(found.orientations) == 3


def test_an_unknown_acquisition_contrast_leaves_the_answer_to_the_numbers():
    ds = _enhanced(
        MRTimingAndRelatedParametersSequence=item(RepetitionTime=4000),
        MREchoSequence=item(EffectiveEchoTime=90.0),
        MRImageFrameTypeSequence=item(AcquisitionContrast="UNKNOWN"),
    )
    ds.ImageType = ["ORIGINAL", "PRIMARY", "UNKNOWN", "NONE"]
    assert facts(ds).mr.weighting is T2


def test_a_result_of_a_node_is_never_a_source():
    own = mr(Manufacturer=MANUFACTURER, ManufacturerModelName=MODEL_NAME, ImageType=["DERIVED", "PRIMARY", "ADC"])
    assert facts(own).is_derived
    assert facts(own).derived == "a result of Osteon"
    assert not facts(mr(Manufacturer=MANUFACTURER, ManufacturerModelName="Scanner")).is_derived
