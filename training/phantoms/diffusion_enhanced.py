"""What an Enhanced MR Image (PS3.3 A.36) has and a single-frame image has not: functional groups, dimensions.

What they say is what the phantom is: a spin-echo EPI with fat suppressed spectrally, in a body coil.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydicom.dataset import Dataset

from training.phantoms.diffusion_tissue import Protocol

LEAST_TRACE = 100.0
"""From this b-value on, an image is the trace of its directions."""
REGIONS = {
    "pelvis": ("816092008", "Pelvis"),
    "thighs": ("68367000", "Thigh"),
    "thigh": ("68367000", "Thigh"),
    "lower_leg": ("30021000", "Lower leg"),
}
"""Anatomic Region Sequence (0008,2218), SNOMED CT, CID 4031."""


_UNCHANGED: Mapping[str, Any] = {
    "MRModifierSequence": [
        {
            "InversionRecovery": "NO", "FlowCompensation": "NONE", "Spoiling": "NONE",
            "T2Preparation": "NO", "SpectrallySelectedExcitation": "NONE", "SpatialPresaturation": "NONE",
            "PartialFourier": "NO", "ParallelAcquisition": "NO",
        }
    ],
    "MRImagingModifierSequence": [
        {"MagnetizationTransfer": "NONE", "BloodSignalNulling": "NO", "Tagging": "NONE",
         "TransmitterFrequency": 63.87, "PixelBandwidth": "1500"}
    ],
    "MRFOVGeometrySequence": [
        {"InPlanePhaseEncodingDirection": "COLUMN", "MRAcquisitionFrequencyEncodingSteps": 128,
         "MRAcquisitionPhaseEncodingStepsInPlane": 128, "PercentSampling": "100",
         "PercentPhaseFieldOfView": "100"}
    ],
    "MRReceiveCoilSequence": [
        {"ReceiveCoilName": "BODY", "ReceiveCoilManufacturerName": "", "ReceiveCoilType": "BODY",
         "QuadratureReceiveCoil": "YES"}
    ],
    "MRTransmitCoilSequence": [
        {"TransmitCoilName": "BODY", "TransmitCoilManufacturerName": "", "TransmitCoilType": "BODY"}
    ],
}  # fmt: skip
"""Groups that are the same in every study."""


def made(values: Mapping[str, Any]) -> Dataset:
    """A data set by keyword; lists of mappings are sequences."""
    ds = Dataset()
    for keyword, value in values.items():
        is_sequence = isinstance(value, list) and all(isinstance(item, Mapping | Dataset) for item in value)
        items = [item if isinstance(item, Dataset) else made(item) for item in value] if is_sequence else value
        setattr(ds, keyword, items)
    return ds


def image_attributes(moment: str, dimensions: str) -> Dataset:
    """Enhanced MR Image, MR Pulse Sequence, Multi-frame Dimension (PS3.3 C.8.13, C.7.6.17)."""
    pointers = ((0x0020, 0x9056), (0x0020, 0x9057))  # Stack ID, In-Stack Position Number
    index = {"DimensionOrganizationUID": dimensions, "FunctionalGroupPointer": (0x0020, 0x9111)}
    return made(
        {
            "AcquisitionDateTime": moment, "AcquisitionDuration": 120.0, "ContentQualification": "RESEARCH",
            "PixelPresentation": "MONOCHROME", "VolumetricProperties": "VOLUME",
            "VolumeBasedCalculationTechnique": "NONE", "ComplexImageComponent": "MAGNITUDE",
            "AcquisitionContrast": "DIFFUSION", "ResonantNucleus": "1H", "KSpaceFiltering": "NONE",
            "ApplicableSafetyStandardAgency": "IEC", "PulseSequenceName": "epi", "MRAcquisitionType": "2D",
            "EchoPulseSequence": "SPIN", "EchoPlanarPulseSequence": "YES", "MultipleSpinEcho": "NO",
            "MultiPlanarExcitation": "NO", "SteadyStatePulseSequence": "NONE", "SaturationRecovery": "NO",
            "SpectrallySelectedExcitation": "NONE", "PhaseContrast": "NO", "TimeOfFlightContrast": "NO",
            "SpectrallySelectedSuppression": "FAT", "OversamplingPhase": "NONE", "SegmentedKSpaceTraversal": "SINGLE",
            "RectilinearPhaseEncodeReordering": "LINEAR", "NumberOfKSpaceTrajectories": 1,
            "GeometryOfKSpaceTraversal": "RECTILINEAR",
            "BurnedInAnnotation": "NO", "LossyImageCompression": "00", "PresentationLUTShape": "IDENTITY",
            "AcquisitionContextSequence": [],
            "DimensionOrganizationSequence": [{"DimensionOrganizationUID": dimensions}],
            "DimensionIndexSequence": [index | {"DimensionIndexPointer": pointer} for pointer in pointers],
        }
    )  # fmt: skip


def shared_groups(told: Protocol, b: float, averages: int, region: str, measures: Dataset) -> Dataset:
    """What holds of every frame (PS3.3 C.7.6.16, C.8.13.5)."""
    return made(
        {
            "PixelMeasuresSequence": [measures],
            "PixelValueTransformationSequence": [{"RescaleSlope": "1", "RescaleIntercept": "0", "RescaleType": "US"}],
            "FrameAnatomySequence": [_anatomy(region)],
            "MRImageFrameTypeSequence": [
                {
                    "FrameType": ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"], "PixelPresentation": "MONOCHROME",
                    "VolumetricProperties": "VOLUME", "VolumeBasedCalculationTechnique": "NONE",
                    "ComplexImageComponent": "MAGNITUDE", "AcquisitionContrast": "DIFFUSION",
                }
            ],
            "MRDiffusionSequence": [_diffusion(b)],
            "MREchoSequence": [{"EffectiveEchoTime": round(told.te, 1)}],
            "MRAveragesSequence": [{"NumberOfAverages": float(averages)}],
            "MRTimingAndRelatedParametersSequence": [
                {
                    "RepetitionTime": f"{told.tr:.1f}", "FlipAngle": "90", "EchoTrainLength": 63,
                    "RFEchoTrainLength": 1, "GradientEchoTrainLength": 63,
                    "SpecificAbsorptionRateSequence": [
                        {"SpecificAbsorptionRateDefinition": "IEC_WHOLE_BODY", "SpecificAbsorptionRateValue": 1.0}
                    ],
                    "GradientOutputType": "DB_DT", "GradientOutput": 50.0,
                    "OperatingModeSequence": [
                        {"OperatingModeType": "WHOLE BODY", "OperatingMode": "IEC_NORMAL"}
                    ],
                }
            ],
            **_UNCHANGED,
        }
    )  # fmt: skip


def _anatomy(region: str) -> Mapping[str, Any]:
    code, meaning = REGIONS[region]
    named = {"CodeValue": code, "CodingSchemeDesignator": "SCT", "CodeMeaning": meaning}
    return {"FrameLaterality": "U" if region == "pelvis" else "B" if region == "thighs" else "R",
            "AnatomicRegionSequence": [named]}  # fmt: skip


def _diffusion(b: float) -> Mapping[str, Any]:
    if b < LEAST_TRACE:
        return {"DiffusionBValue": b, "DiffusionDirectionality": "NONE"}
    return {"DiffusionBValue": b, "DiffusionDirectionality": "ISOTROPIC"}


def frame_groups(number: int, position: Dataset, orientation: Dataset, moment: str) -> Dataset:
    """What holds of one frame, from 1."""
    index: Sequence[int] = [1, number]
    content = {
        "StackID": "1", "InStackPositionNumber": number, "DimensionIndexValues": index, "FrameAcquisitionNumber": 1,
        "FrameReferenceDateTime": moment, "FrameAcquisitionDateTime": moment, "FrameAcquisitionDuration": 1000.0,
    }  # fmt: skip
    return made(
        {
            "PlanePositionSequence": [position],
            "PlaneOrientationSequence": [orientation],
            "FrameContentSequence": [content],
        }
    )
