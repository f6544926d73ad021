"""What is no radiograph is refused by name, before anything large is allocated."""

import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from pydicom import dcmread, uid

from models import encoded, images
from models.errors import DecodeError, GeometryError, ImageError, ImageTooLargeError
from tests.models.films import body, compressed, film, lossless_jpeg, ramp, shared, wire, with_frames


def test_a_header_of_65535_squared_is_refused_before_anything_is_allocated():
    ds = film(ramp())
    ds.Rows = ds.Columns = 65535
    tracemalloc.start()
    with pytest.raises(ImageTooLargeError, match="65535 x Columns 65535") as caught:
        images.radiograph(ds)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
    assert caught.value.outcome == "REJECTED_GEOMETRY"


@pytest.mark.parametrize("kind", ["RGB", "PALETTE COLOR", "YBR_FULL_422"])
def test_a_colour_image_is_refused_by_name(kind):
    ds = film(ramp(bits=8), 8, photometric=kind)
    with pytest.raises(DecodeError, match=kind) as caught:
        images.radiograph(ds)
    assert caught.value.outcome == "REJECTED_DECODE"


def test_three_samples_per_pixel_are_refused():
    with pytest.raises(DecodeError, match="3 sample"):
        images.radiograph(film(ramp(bits=8), 8, SamplesPerPixel=3))


def test_a_data_set_without_pixels_is_refused():
    ds = film(ramp())
    del ds.PixelData
    for read in (
        lambda: images.radiograph(ds),
        lambda: images.radiograph_from_bytes(wire(ds), uid.ExplicitVRLittleEndian),
    ):
        with pytest.raises(DecodeError, match="no Pixel Data"):
            read()


def test_floating_point_pixels_are_refused():
    ds = film(ramp())
    del ds.PixelData
    ds.FloatPixelData = np.zeros(64 * 80, "<f4").tobytes()
    with pytest.raises(DecodeError, match="floating point"):
        images.radiograph_from_bytes(wire(ds), uid.ExplicitVRLittleEndian)


@pytest.mark.parametrize(
    ("attributes", "error", "words"),
    [
        ({"BitsAllocated": 32}, DecodeError, "Bits Allocated .* is 32"),
        ({"BitsAllocated": 1}, DecodeError, "Bits Allocated .* is 1"),
        ({"BitsStored": 0}, DecodeError, "Bits Stored .* is 0"),
        ({"BitsStored": 17}, DecodeError, "Bits Stored .* is 17"),
        ({"HighBit": 5}, DecodeError, "High Bit .* is 5"),
        ({"HighBit": 16}, DecodeError, "High Bit .* is 16"),
        ({"Rows": 0}, GeometryError, "Rows 0"),
        ({"NumberOfFrames": "0"}, GeometryError, "frames 0"),
        ({"NumberOfFrames": "2"}, GeometryError, "a radiograph has one"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_header_that_contradicts_itself_is_refused(attributes, error, words):
    with pytest.raises(error, match=words):
        images.radiograph(film(ramp(), **attributes))


def test_pixels_cut_short_are_refused_and_one_padding_byte_is_not():
    ds = film(ramp(63, 81, bits=8), 8)
    assert images.radiograph_from_bytes(wire(ds), uid.ExplicitVRLittleEndian).pixels.shape == (63, 81)
    ds = film(ramp())
    ds.PixelData = ds.PixelData[:-2]
    with pytest.raises(DecodeError, match="cut short"):
        images.radiograph(ds)


def test_a_data_set_cut_off_on_the_wire_is_refused():
    data = wire(film(ramp()))
    for end in (len(data) - 1, len(data) // 2, 300, 100, 9, 0):
        with pytest.raises(ImageError):
            images.radiograph_from_bytes(data[:end], uid.ExplicitVRLittleEndian)


def test_pixels_that_do_not_belong_to_the_header_are_refused():
    ds = film(ramp())
    ds.Columns = 60
    with pytest.raises(DecodeError, match="do not belong together"):
        images.radiograph(ds)


@pytest.mark.parametrize("syntax", [uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless], ids=lambda s: s.name)
def test_a_compressed_frame_of_another_size_than_the_header_is_refused(syntax):
    ds = compressed(film(ramp()), syntax)
    ds.Rows = 640
    with pytest.raises(DecodeError):
        images.radiograph(ds)


@pytest.mark.parametrize("syntax", [uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless], ids=lambda s: s.name)
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_frame_cut_short_within_its_fragment_is_refused(syntax, share):
    values = np.random.default_rng(1).integers(0, 4096, (64, 80))
    frame = bytes(encoded.fragments(memoryview(compressed(film(values), syntax).PixelData))[0])
    ds = with_frames(film(values), syntax, [frame[: int(share * len(frame))]])
    with pytest.raises(DecodeError, match=r"cut short|damaged"):
        images.radiograph(ds)


def test_a_lossless_jpeg_cut_short_within_its_fragment_is_refused(tmp_path):
    values = np.random.default_rng(1).integers(0, 4096, (64, 80))
    whole = dcmread(lossless_jpeg(film(values), uid.JPEGLosslessSV1, tmp_path))
    frame = bytes(encoded.fragments(memoryview(whole.PixelData))[0])
    with pytest.raises(DecodeError, match="cut short"):
        images.radiograph(with_frames(film(values), uid.JPEGLosslessSV1, [frame[: len(frame) // 2]]))


def test_a_small_header_cannot_hide_a_large_codestream():
    frame = bytearray(compressed_frame())
    frame[8:16] = (60000).to_bytes(4, "big") * 2
    ds = with_frames(film(ramp()), uid.JPEG2000Lossless, [bytes(frame)])
    tracemalloc.start()
    with pytest.raises(DecodeError, match="60000 x 60000"):
        images.radiograph(ds)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def compressed_frame():
    ds = compressed(film(ramp()), uid.JPEG2000Lossless)
    return bytes(encoded.fragments(memoryview(ds.PixelData))[0])


@pytest.mark.parametrize("syntax", [uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless], ids=lambda s: s.name)
def test_damaged_frames_end_in_a_refusal_or_an_image_and_nothing_else(syntax):
    whole = compressed(film(ramp()), syntax)
    data = wire(whole)
    random = np.random.default_rng(5)
    for _ in range(60):
        broken = bytearray(data)
        for place in random.integers(len(data) - len(whole.PixelData), len(data), 3):
            broken[place] = random.integers(256)
        with suppress(ImageError):
            images.radiograph_from_bytes(bytes(broken), syntax)


def test_an_unknown_syntax_and_an_empty_frame_are_refused():
    ds = with_frames(film(ramp()), "1.2.840.10008.1.2.4.55", [b"\xff\xd8\xff\xd9"])
    with pytest.raises(DecodeError, match="not one that we decode"):
        images.radiograph(ds)
    ds = with_frames(film(ramp()), uid.JPEGLSLossless, [b"\x00\x00"])
    with pytest.raises(DecodeError, match="no JPEG stream"):
        images.radiograph(ds)


def test_an_image_of_one_value_is_refused():
    with pytest.raises(DecodeError, match="nothing to see"):
        images.radiograph(film(np.full((64, 80), 7)))


def test_an_image_that_is_all_padding_is_refused():
    ds = film(np.full((64, 80), 7))
    ds.add_new("PixelPaddingValue", "US", 7)
    with pytest.raises(GeometryError, match="nothing to see"):
        images.radiograph(ds)


def test_a_sequence_without_its_end_hides_no_pixels():
    path = shared("nasty", "pydicom-reads-empty", "GH1339.dcm")
    assert images.radiograph_from_bytes(*body(path)).pixels.shape == (320, 320)


def test_every_hostile_file_ends_in_a_refusal_or_an_image():
    outcomes = {}
    for path in sorted(shared("nasty", "fuzz").rglob("*.dcm")):
        try:
            images.radiograph_from_bytes(path.read_bytes()[132:], uid.ExplicitVRLittleEndian)
            outcomes[path.name] = "image"
        except ImageError as exc:
            outcomes[path.name] = exc.outcome
    assert len(outcomes) > 100
    assert set(outcomes.values()) <= {"image", "REJECTED_DECODE", "REJECTED_GEOMETRY"}
