"""Makers of small radiographs with known pixels, in every syntax we can encode."""

from pathlib import Path

import gdcm
import numpy as np
import pytest
from pydicom import dcmread, uid
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.pixels import get_encoder
from pydicom.tag import Tag

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"


def shared(*parts):
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{'/'.join(parts)} is not beside this checkout (../shared/data)")
    return path


def ramp(rows=64, columns=80, bits=12, signed=False):
    values = np.linspace(0, (1 << bits) - 1, rows * columns).round().reshape(rows, columns)
    return (values - (1 << (bits - 1)) if signed else values).astype(np.int32)


def film(values, bits=12, signed=False, photometric="MONOCHROME2", allocated=None, **attributes):
    """A minimal DX-like data set with the pixels given."""
    allocated = allocated or (8 if bits <= 8 else 16)
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    ds.SOPClassUID = uid.DigitalXRayImageStorageForPresentation
    ds.Modality = "DX"
    ds.Rows, ds.Columns = values.shape
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = photometric
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = allocated, bits, bits - 1
    ds.PixelRepresentation = int(signed)
    ds.PixelData = (values & ((1 << bits) - 1)).astype(f"<u{allocated // 8}").tobytes()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def with_raw(ds, tag, value):
    """The data set with a DS element as it may come off the wire, with a value that no maker would accept."""
    ds._dict[Tag(tag)] = RawDataElement(Tag(tag), "DS", len(value), value.encode(), 0, False, True)
    return ds


def wire(ds, syntax=uid.ExplicitVRLittleEndian):
    """The data set as C-STORE carries it: no preamble, no file meta."""
    stream = DicomBytesIO()
    stream.is_little_endian = syntax != uid.ExplicitVRBigEndian
    stream.is_implicit_VR = syntax == uid.ImplicitVRLittleEndian
    write_dataset(stream, ds)
    return stream.getvalue()


def body(path):
    """The data set of a file, without its file meta information, and its transfer syntax."""
    raw = path.read_bytes()
    syntax = dcmread(path, specific_tags=[], stop_before_pixels=True).file_meta
    return raw[144 + syntax.FileMetaInformationGroupLength :], syntax.TransferSyntaxUID


def compressed(ds, syntax):
    """The data set with its pixels encoded by the encoders at hand."""
    options = {
        "rows": ds.Rows,
        "columns": ds.Columns,
        "samples_per_pixel": 1,
        "number_of_frames": 1,
        "photometric_interpretation": ds.PhotometricInterpretation,
        "bits_allocated": ds.BitsAllocated,
        "bits_stored": ds.BitsStored,
        "pixel_representation": ds.PixelRepresentation,
    }
    frame = get_encoder(syntax).encode(ds.PixelData, **options)
    return with_frames(ds, syntax, [frame])


def with_frames(ds, syntax, frames):
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate(frames)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return ds


def lossless_jpeg(ds, syntax, folder):
    """The same through GDCM, the only encoder of JPEG lossless among our dependencies."""
    source, target = folder / "in.dcm", folder / "out.dcm"
    ds.SOPInstanceUID = "2.25.1"
    ds.save_as(source, enforce_file_format=True)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(source))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return target
