"""What is wrong with an image is said by a status to its sender or by a named outcome to the admin.

And it costs nobody else anything. One node for the whole file; every image is a radiograph of a knee but for what its
name says.
"""

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, generate_uid
from pynetdicom import AE

from tests.bench import flood
from tests.bench.loads import Item, data_set_of, encoded, item_of
from tests.e2e import dcmtk, radiographs
from tests.e2e.node_process import Node
from tests.e2e.processes import HOST, SHARED_DATA, until

SENDER = "MODALITY"
CANNOT_UNDERSTAND = 0xC000
UID_MISMATCH = 0xA900
REJECTED_PERMANENT_BY_USER = (1, 1)
CALLING_AE_UNKNOWN, CALLED_AE_UNKNOWN = 3, 7
CONTEXT_REFUSED = (3, 4)
"""Abstract syntax not supported, or no transfer syntax supported (PS3.8 9.3.3.2)."""


@pytest.fixture(scope="module")
def node(new_node: Callable[..., Node]) -> Node:
    made = new_node()
    made.peer("modality", SENDER, may_send=True)
    made.start()
    return made


def pixels() -> radiographs.Pixels:
    """A small radiograph with a tumour, real where there is one."""
    return radiographs.any_pixels(640, 512, radiographs.SURE)


def good() -> Item:
    """A radiograph with nothing wrong."""
    return item_of(radiographs.radiograph(pixels()))


def status(node: Node, item: Item) -> int:
    """What the node answers to the one object."""
    return flood.send(node.port, [[item]], calling=SENDER, called=node.ae_title).statuses[0]


@pytest.mark.checklist(42)
@pytest.mark.parametrize(
    ("calling", "called", "reason"),
    [
        pytest.param("STRANGER", "OSTEON", CALLING_AE_UNKNOWN, id="unknown calling AE"),
        pytest.param(SENDER, "SOMEBODY", CALLED_AE_UNKNOWN, id="wrong called AE"),
    ],
)
def test_an_association_of_the_wrong_parties_is_rejected_and_says_why(
    node: Node, calling: str, called: str, reason: int
) -> None:
    with pytest.raises(flood.Refused) as refused:
        flood.send(node.port, [[good()]], calling=calling, called=called)
    assert refused.value.why == (*REJECTED_PERMANENT_BY_USER, reason)


def test_a_peer_that_is_added_while_the_node_runs_is_let_in(node: Node) -> None:
    def sent() -> bool:
        try:
            return flood.send(node.port, [[good()]], calling="NEWCOMER", called=node.ae_title).statuses == (0,)
        except flood.Refused:
            return False

    assert not sent()
    node.peer("newcomer", "NEWCOMER", may_send=True)
    until(sent, 5, "a peer that was just added is still refused")
    node.run("peers", "remove", "newcomer")
    until(lambda: not sent(), 5, "a peer that was removed is still let in")


def test_a_class_that_is_no_storage_class_is_refused_in_the_negotiation(node: Node) -> None:
    ae = AE(ae_title=SENDER)
    ae.add_requested_context("1.2.840.10008.5.1.4.1.1.999999")
    ae.add_requested_context("1.2.840.10008.1.1")
    assoc = ae.associate(HOST, node.port, ae_title=node.ae_title)
    assert assoc.is_established
    assert assoc.rejected_contexts[0].result in CONTEXT_REFUSED
    assert assoc.send_c_echo().Status == 0
    assoc.release()


def _renamed(uid: str) -> Item:
    """The same UID in command and data set, whatever it is made of."""
    item = good()
    padded = uid + "\0" * (len(uid) % 2)
    old = encoded_uid(item.sop_instance_uid)
    new = len(padded).to_bytes(2, "little") + padded.encode()
    return dataclasses.replace(item, sop_instance_uid=uid, data=item.data.replace(old, new, 1))


def encoded_uid(uid: str) -> bytes:
    """Length and value of a UID element in Explicit VR Little Endian, behind its VR."""
    padded = uid + "\0" * (len(uid) % 2)
    return len(padded).to_bytes(2, "little") + padded.encode()


def _without(*keywords: str) -> Item:
    whole = radiographs.radiograph(pixels())
    item = item_of(whole)
    for keyword in keywords:
        del whole[keyword]
    return dataclasses.replace(item, data=encoded(whole))


REFUSED: dict[str, tuple[Callable[[], Item], int]] = {
    "empty data set": (lambda: dataclasses.replace(good(), data=b""), CANNOT_UNDERSTAND),
    "cut in the header": (lambda: dataclasses.replace(good(), data=good().data[:301]), CANNOT_UNDERSTAND),
    "cut in the pixels": (lambda: _cut(good()), CANNOT_UNDERSTAND),
    "no Study Instance UID": (lambda: _without("StudyInstanceUID"), CANNOT_UNDERSTAND),
    "no Series Instance UID": (lambda: _without("SeriesInstanceUID"), CANNOT_UNDERSTAND),
    "noise": (lambda: dataclasses.replace(good(), data=np.random.default_rng(1).bytes(5000)), CANNOT_UNDERSTAND),
    "SOP Instance UID of another object": (
        lambda: dataclasses.replace(good(), sop_instance_uid=generate_uid()),
        UID_MISMATCH,
    ),
    "SOP Class UID of another class": (
        lambda: dataclasses.replace(good(), sop_class_uid="1.2.840.10008.5.1.4.1.1.1"),
        UID_MISMATCH,
    ),
    "path in the UID": (lambda: _renamed("../../../../tmp/CANARY"), CANNOT_UNDERSTAND),
    "dots as UID": (lambda: _renamed(".."), CANNOT_UNDERSTAND),
    "UID of 70 characters": (lambda: _renamed("1." + "2" * 68), CANNOT_UNDERSTAND),
}


def _cut(item: Item) -> Item:
    return dataclasses.replace(item, data=item.data[: len(item.data) // 2])


@pytest.mark.checklist(45)
@pytest.mark.parametrize("name", REFUSED)
def test_an_object_that_cannot_be_kept_is_refused_with_the_status_that_says_so(node: Node, name: str) -> None:
    make, expected = REFUSED[name]
    item = make()
    answer = status(node, item)
    assert answer == expected, f"answered 0x{answer:04X}, not 0x{expected:04X}"
    assert status(node, good()) == 0, "the next sender suffers from it"
    assert not node.has(item.sop_instance_uid)


def _no_pixels() -> Dataset:
    return radiographs.radiograph(pixels(), PixelData=None)


def _colour() -> Dataset:
    grey = (pixels() >> 4).astype(np.uint8)
    rgb = np.repeat(grey[:, :, None], 3, axis=2)
    return radiographs.radiograph(
        rgb, bits=8, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0
    )


def _huge() -> Dataset:
    return radiographs.radiograph(pixels(), Rows=65535, Columns=65535)


UNSUITABLE: dict[str, tuple[Callable[[], Dataset], tuple[str, ...]]] = {
    "no pixel data": (_no_pixels, ("REJECTED_DECODE", "REJECTED_INCOMPLETE")),
    "RGB": (_colour, ("REJECTED_DECODE",)),
    "65535 x 65535": (_huge, ("REJECTED_DECODE", "REJECTED_GEOMETRY")),
    "all black": (lambda: radiographs.radiograph(np.zeros_like(pixels())), ("REJECTED_DECODE",)),
    "no rows": (lambda: radiographs.radiograph(pixels(), Rows=0), ("REJECTED_DECODE", "REJECTED_GEOMETRY")),
    "chest": (
        lambda: radiographs.radiograph(pixels(), BodyPartExamined="CHEST", StudyDescription="Thorax pa"),
        ("NOT_APPLICABLE_BODYPART",),
    ),
    "lumbar spine": (lambda: radiographs.radiograph(pixels(), BodyPartExamined="LSPINE"), ("NOT_APPLICABLE_BODYPART",)),
    "hip": (lambda: radiographs.radiograph(pixels(), BodyPartExamined="HIP"), ("NOT_APPLICABLE_BODYPART",)),
    "body part not given": (
        lambda: radiographs.radiograph(pixels(), BodyPartExamined=None),
        ("AMBIGUOUS_BODYPART", "NOT_APPLICABLE_BODYPART"),
    ),
    "for processing": (
        lambda: radiographs.radiograph(
            pixels(), SOPClassUID="1.2.840.10008.5.1.4.1.1.1.1.1", PresentationIntentType="FOR PROCESSING"
        ),
        ("REJECTED_FOR_PROCESSING",),
    ),
}


@pytest.mark.checklist(38, 41)
def test_an_unsuitable_image_ends_in_a_named_outcome_with_an_explanation(node: Node) -> None:
    sent = {name: make() for name, (make, _) in UNSUITABLE.items()}
    for name, dataset in sent.items():
        assert status(node, item_of(dataset)) == 0, name
    wrong = []
    for name, dataset in sent.items():
        study = node.ended(dataset.StudyInstanceUID)
        print(f"{name}: {study['outcome']}: {' '.join(study['explanation'])}")
        if study["outcome"] not in UNSUITABLE[name][1]:
            wrong.append(f"{name}: {study['outcome']} is none of {UNSUITABLE[name][1]}: {study['explanation']}")
        assert study["explanation"], name
        assert "CANARY" not in str(study).upper(), name
    assert not wrong, "\n".join(wrong)


def test_a_real_file_that_ends_too_early_is_refused(node: Node) -> None:
    path = SHARED_DATA / "xray" / "cr-chest-philips-mono1-15bit" / "RG1_J2KI.dcm"
    if not path.is_file():
        pytest.skip("shared/data/xray is absent")
    data = path.read_bytes()
    header = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
    syntax = str(header.file_meta.TransferSyntaxUID)
    uids = header.SOPClassUID, header.SOPInstanceUID, header.StudyInstanceUID
    assert status(node, Item(*uids, data_set_of(data), syntax)) == CANNOT_UNDERSTAND


def _twins(files: Path) -> dict[str, Path]:
    """The same picture in every form in which it may come; "plain" is the first."""
    plain = pixels()
    forms = {
        "plain": radiographs.radiograph(plain),
        "MONOCHROME1": radiographs.radiograph(
            4095 - plain, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE"
        ),
        "16 bits": radiographs.radiograph(plain << 4, bits=16),
        "15 bits": radiographs.radiograph(plain << 3, bits=15),
        "10 bits": radiographs.radiograph(plain >> 2, bits=10),
        "8 bits": radiographs.radiograph((plain >> 4).astype(np.uint8), bits=8),
    }
    paths = {
        name: radiographs.saved(dataset, files / f"{name.replace(' ', '-')}.dcm") for name, dataset in forms.items()
    }
    for name, tool in {"JPEG lossless": "dcmcjpeg", "JPEG-LS": "dcmcjpls", "RLE": "dcmcrle"}.items():
        source = radiographs.saved(radiographs.radiograph(plain), files / "source.dcm")
        paths[name] = files / f"{tool}.dcm"
        done = dcmtk.called([tool, source, paths[name]])
        assert done.returncode == 0, done.stdout
    jpeg2000 = radiographs.radiograph(plain)
    path = radiographs.saved(jpeg2000, files / "j2k.dcm")
    again = pydicom.dcmread(path)
    again.compress(JPEG2000Lossless, generate_instance_uid=False)
    again.save_as(path)
    return paths | {"JPEG 2000": path}


@pytest.mark.checklist(30, 40)
def test_every_form_of_one_picture_gets_the_same_answer(node: Node, files: Path) -> None:
    paths = _twins(files)
    for name, path in paths.items():
        done = dcmtk.called(
            [
                "dcmsend",
                "-v",
                "--decompress-never",
                "--no-uid-checks",
                "-aet",
                SENDER,
                "-aec",
                node.ae_title,
                HOST,
                str(node.port),
                path,
            ]
        )
        assert done.returncode == 0, f"{name}: {done.stdout}"
        assert "Converting" not in done.stdout, f"{name} was not sent as it is"
    answers = {}
    for name, path in paths.items():
        study = node.ended(pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID)
        answers[name] = (study["outcome"], study["answer"], study["probability"])
    plain = answers["plain"]
    assert plain[0] == "FAILED_SEND", f"{plain}: the only peer here receives no results"
    assert plain[1], f"{plain}: analysed all the same"
    assert plain[2] is not None, f"{plain}: an undecided answer has no probability to compare"
    for name, (outcome, answer, probability) in answers.items():
        assert (outcome, answer) == plain[:2], f"{name}: {outcome} {answer}, plain: {plain}"
        tolerance = 1e-6 if "bits" not in name and name != "MONOCHROME1" else 0.02
        assert abs(probability - plain[2]) <= tolerance, f"{name}: {probability}, plain: {plain}"


def test_the_node_still_answers_after_all_that(node: Node) -> None:
    assert dcmtk.echoscu(node.port, calling=SENDER, to=node.ae_title).returncode == 0
    assert node.children[0].is_running()
