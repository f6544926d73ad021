"""Makes headers for tests: a few lines of what a scanner writes, and a way over the wire as it will be read."""

from pydicom import config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from node.headers import facts_of, read_header

CLASSES = {
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "DX for processing": "1.2.840.10008.5.1.4.1.1.1.1.1",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "Enhanced MR": "1.2.840.10008.5.1.4.1.1.4.1",
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "SC": "1.2.840.10008.5.1.4.1.1.7",
    "SEG": "1.2.840.10008.5.1.4.1.1.66.4",
    "SR": "1.2.840.10008.5.1.4.1.1.88.33",
    "MG": "1.2.840.10008.5.1.4.1.1.1.2",
    "IO": "1.2.840.10008.5.1.4.1.1.1.3",
}
AXIAL = [1, 0, 0, 0, 1, 0]
SAGITTAL = [0, 1, 0, 0, 0, -1]
CORONAL = [1, 0, 0, 0, 0, -1]
STUDY, SERIES = generate_uid(), generate_uid()


def header(kind="DX", **values):
    """A data set of one image with attributes by keyword; a value of None leaves the attribute out."""
    ds = Dataset()
    ds.SOPClassUID = CLASSES[kind]
    ds.SOPInstanceUID = generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, SERIES
    ds.Modality = {"DX for processing": "DX", "Enhanced MR": "MR", "SC": "OT"}.get(kind, kind)
    ds.PatientID, ds.SeriesNumber, ds.InstanceNumber = "P1", 1, 1
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = 64, 48, 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    for keyword, value in values.items():
        if value is None:
            ds.pop(keyword, None)
        else:
            _set(ds, keyword, value)
    return ds


def _set(ds, keyword, value):
    """Set an attribute, also to what pydicom would complain of."""
    ds.add(DataElement(tag_for_keyword(keyword), dictionary_VR(keyword), value, validation_mode=config.IGNORE))


def mr(**values):
    """An MR slice that lies axially at the origin."""
    places = {"ImageOrientationPatient": AXIAL, "ImagePositionPatient": [0, 0, 0], "SliceThickness": 3}
    return header("MR", **(places | values))


def item(**values):
    """A sequence item."""
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def code(value, scheme="SCT", meaning="meaning"):
    """An item of a code sequence."""
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def on_the_wire(ds, implicit=False):
    """The bytes of a data set without file meta information."""
    out = DicomBytesIO()
    out.is_implicit_VR, out.is_little_endian = implicit, True
    write_dataset(out, ds)
    return out.getvalue()


def facts(ds, implicit=False, **more):
    """The facts of a data set after its way over the wire."""
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    return facts_of(read_header(on_the_wire(ds, implicit), syntax), **more)
