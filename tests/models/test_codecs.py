"""Every transfer syntax gives the same pixels."""

import base64
import subprocess
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
from pydicom import uid

from models import codecs, encoded, images
from models.errors import ImageTooLargeError
from tests.models.films import ROOT, body, compressed, film, lossless_jpeg, ramp, shared, wire, with_frames


@pytest.mark.checklist(40)
@pytest.mark.parametrize(
    "syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian], ids=lambda s: s.name
)
@pytest.mark.parametrize(("bits", "signed"), [(8, False), (12, False), (16, False), (12, True), (16, True)])
def test_native_syntaxes_give_the_pixels_that_were_written(syntax, bits, signed):
    values = ramp(bits=bits, signed=signed)
    ds = film(values, bits, signed)
    if syntax == uid.ExplicitVRBigEndian and bits > 8:
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    read = images.radiograph_from_bytes(wire(ds, syntax), syntax)
    assert np.array_equal(read.pixels, values)
    assert read.pixels.dtype == np.float32
    assert read.valid is None


@pytest.mark.checklist(40)
@pytest.mark.parametrize("syntax", [uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless], ids=lambda s: s.name)
@pytest.mark.parametrize(
    ("bits", "signed"), [(8, False), (12, False), (15, False), (16, False), (12, True), (16, True)]
)
def test_lossless_syntaxes_give_the_pixels_that_were_written(syntax, bits, signed):
    values = ramp(bits=bits, signed=signed)
    read = images.radiograph_from_bytes(wire(compressed(film(values, bits, signed), syntax)), syntax)
    assert np.array_equal(read.pixels, values)


@pytest.mark.checklist(40)
@pytest.mark.parametrize("syntax", [uid.JPEGLosslessSV1, uid.JPEGLossless], ids=lambda s: s.name)
@pytest.mark.parametrize(("bits", "signed"), [(8, False), (12, False), (16, False), (16, True)])
def test_lossless_jpeg_gives_the_pixels_that_were_written(syntax, bits, signed, tmp_path):
    values = ramp(bits=bits, signed=signed)
    read = images.radiograph_from_bytes(*body(lossless_jpeg(film(values, bits, signed), syntax, tmp_path)))
    assert np.array_equal(read.pixels, values)


def test_a_data_set_read_by_pydicom_gives_the_same_as_its_bytes():
    ds = compressed(film(ramp()), uid.JPEGLSLossless)
    assert np.array_equal(
        images.radiograph(ds).pixels, images.radiograph_from_bytes(wire(ds), uid.JPEGLSLossless).pixels
    )


def test_a_deflated_data_set_is_read_and_a_deflate_bomb_is_not():
    data = wire(film(ramp()))
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(data) + packer.flush()
    assert np.array_equal(
        images.radiograph_from_bytes(packed, uid.DeflatedExplicitVRLittleEndian).pixels, ramp().astype(np.float32)
    )
    packer = zlib.compressobj(9, wbits=-15)
    bomb = packer.compress(bytes(64 << 20)) + packer.flush()
    limits = images.Limits(decoded_bytes=1 << 20)
    tracemalloc.start()
    with pytest.raises(ImageTooLargeError, match="unpacks to more than"):
        images.radiograph_from_bytes(bomb, uid.DeflatedExplicitVRLittleEndian, limits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_the_offered_list_holds_every_syntax_once_and_not_the_deflated_one():
    offered = images.SUPPORTED_TRANSFER_SYNTAXES
    assert len(set(offered)) == len(offered) == 15
    assert offered[:3] == ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.70")
    assert uid.DeflatedExplicitVRLittleEndian not in offered


def test_the_list_is_read_without_loading_a_decoder():
    code = "import sys, models.syntaxes; print(sorted(set(sys.modules) & {'pydicom', 'numpy', 'gdcm'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


TWINS = {
    "one-mr-in-nine": [f"{number}.dcm" for number in range(1, 10)],
    "nema-mr1": ["MR1_RLE.dcm", "MR1_JPLL.dcm", "MR1_JLSL.dcm", "MR1_J2KR.dcm"],
    "nema-mr3": ["MR3_RLE.dcm", "MR3_JPLL.dcm", "MR3_JLSL.dcm", "MR3_J2KR.dcm"],
    "one-ct-in-many": [
        "CTImage.dcm",
        "CTImage.dcm_LittleEndianExplicitTransferSyntax_1.2.840.10008.1.2.1.dcm",
        "CTImage.dcm_BigEndianExplicitTransferSyntax_1.2.840.10008.1.2.2.dcm",
        "CTImage.dcm_DeflatedExplicitVRLittleEndianTransferSyntax_1.2.840.10008.1.2.1.99.dcm",
        "CTImage.dcm_RLELosslessTransferSyntax_1.2.840.10008.1.2.5.dcm",
        "CTImage.dcm_JPEGProcess14TransferSyntax_1.2.840.10008.1.2.4.57.dcm",
        "CTImage.dcm_JPEGProcess14SV1TransferSyntax_1.2.840.10008.1.2.4.70.dcm",
        "CTImage.dcm_JPEGLSLosslessTransferSyntax_1.2.840.10008.1.2.4.80.dcm",
        "CTImage.dcm_JPEG2000LosslessOnlyTransferSyntax_1.2.840.10008.1.2.4.90.dcm",
    ],
}


@pytest.mark.checklist(40)
@pytest.mark.parametrize("folder", TWINS)
def test_real_twins_in_many_syntaxes_decode_to_identical_pixels(folder):
    first, *others = (
        images.radiograph_from_bytes(*body(shared("transfer-syntaxes", folder, name))) for name in TWINS[folder]
    )
    assert np.ptp(first.pixels) > 100
    for other in others:
        assert np.array_equal(first.pixels, other.pixels)


LOSSY = {
    "1.2.840.10008.1.2.4.50": (
        "one-ct-in-many/CTImage.dcm_JPEGProcess1TransferSyntax_1.2.840.10008.1.2.4.50.dcm",
        0.98,
    ),
    "1.2.840.10008.1.2.4.51": (
        "one-ct-in-many/CTImage.dcm_JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm",
        0.99,
    ),
    "1.2.840.10008.1.2.4.81": (
        "one-ct-in-many/CTImage.dcm_JPEGLSLossyTransferSyntax_1.2.840.10008.1.2.4.81.dcm",
        0.999,
    ),
    "1.2.840.10008.1.2.4.91": ("one-ct-in-many/CTImage.dcm_JPEG2000TransferSyntax_1.2.840.10008.1.2.4.91.dcm", 0.999),
}


@pytest.mark.checklist(40)
@pytest.mark.parametrize("syntax", LOSSY)
def test_lossy_twins_come_close_and_the_loss_is_said(syntax):
    name, likeness = LOSSY[syntax]
    original = images.radiograph_from_bytes(*body(shared("transfer-syntaxes", "one-ct-in-many", "CTImage.dcm")))
    data, found = body(shared("transfer-syntaxes", *name.split("/")))
    assert found == syntax
    lossy = images.radiograph_from_bytes(data, found)
    assert np.corrcoef(original.pixels.ravel(), lossy.pixels.ravel())[0, 1] > likeness
    assert any("compressed with loss" in note for note in lossy.notes)


def test_frames_of_a_multi_frame_image_can_be_decoded_one_by_one():
    values = np.stack([ramp(16, 16), 4095 - ramp(16, 16)])
    ds = film(ramp(16, 16), NumberOfFrames="2")
    ds.PixelData = values.astype("<u2").tobytes()
    taken = encoded.from_dataset(ds)
    header = encoded.pixel_header(taken, images.Limits())
    for frame in range(2):
        assert np.array_equal(codecs.decode(taken, header, frame).cells, values[frame])


HTJ2K_FRAME = (
    b"/0//UQApQAAAAAAYAAAAEAAAAAAAAAAAAAAAGAAAABAAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wAEyCI"
    b"kJCQkJCQkJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAJkAAf+TwAAmVfcFB3QAwAATAED9Awd0AMAA"
    b"EsAAE4DvAId0AH704wCiNADAABPAABVAhhv+ggt0AD768PEAEIB3VgDAABUwAAV4vLy8vNpxgnUAGjU0NDQ0/uAY9jGB7LgAwAAr"
    b"4AAWwEQikUgkEonz+np6cQJ4AHye53me53me5/8QAQge/YQge/YQgey/AP/Z"
)
"""A 16 x 24 frame of 16 bits, encoded with OpenJPH 0.26: none of our dependencies encodes HTJ2K."""


@pytest.mark.checklist(40)
@pytest.mark.parametrize("syntax", [uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K], ids=lambda s: s.name)
def test_high_throughput_jpeg_2000_gives_the_pixels_that_were_written(syntax):
    values = np.add.outer(np.arange(16) * 7, np.arange(24) * 11) * 9 % 4096
    ds = with_frames(film(values, 16), syntax, [base64.b64decode(HTJ2K_FRAME)])
    assert np.array_equal(images.radiograph_from_bytes(wire(ds), syntax).pixels, values)
