"""For whom a caller acts: by name, by name and passcode, or rejected."""

import hashlib
import io
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from node import cli
from node.dimse.items import NAME, NAME_AND_PASSCODE, UserIdentity
from node.errors import ConfigurationError
from node.listen import users
from tests.bench.loads import MR256, MR_IMAGE, made, written
from tests.e2e.processes import system_tool

from .conftest import OURS, SENDER, House

PASSCODE = "correct horse"
SAML = 4


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Röntgen has a passcode, the scanner has none."""
    path = tmp_path_factory.mktemp("users") / "users.txt"
    path.write_text(f"# who may send\n\n{users.line_for('röntgen', PASSCODE.encode())}\nscanner\n")
    return path


def identity(kind: int, primary: str, secondary: str = "") -> UserIdentity:
    return UserIdentity(kind, True, primary.encode(), secondary.encode())


@pytest.mark.checklist(60)
@pytest.mark.parametrize(
    ("shown", "required", "rejection"),
    [
        pytest.param(identity(NAME_AND_PASSCODE, "röntgen", PASSCODE), True, None, id="name and passcode"),
        pytest.param(identity(NAME_AND_PASSCODE, "röntgen", "guess"), True, users.UNKNOWN, id="wrong passcode"),
        pytest.param(identity(NAME_AND_PASSCODE, "röntgen", "guess"), False, users.UNKNOWN, id="wrong, not required"),
        pytest.param(identity(NAME, "röntgen"), True, users.UNKNOWN, id="a name whose passcode is not shown"),
        pytest.param(identity(NAME, "röntgen", PASSCODE), True, users.UNKNOWN, id="a passcode where none belongs"),
        pytest.param(identity(NAME, "scanner"), True, None, id="name alone"),
        pytest.param(identity(NAME_AND_PASSCODE, "scanner", "any"), True, None, id="a passcode not asked for"),
        pytest.param(identity(NAME_AND_PASSCODE, "nobody", PASSCODE), True, users.UNKNOWN, id="unknown user"),
        pytest.param(None, True, users.MISSING, id="no identity"),
        pytest.param(None, False, None, id="no identity, not required"),
        pytest.param(identity(SAML, "assertion"), True, users.MISSING, id="another kind counts as none"),
        pytest.param(identity(SAML, "assertion"), False, None, id="another kind, not required"),
    ],
)
def test_a_caller_is_let_in_by_its_user(
    file: Path, shown: UserIdentity | None, required: bool, rejection: users.Rejection | None
) -> None:
    assert users.Users(file, required=required).judged(shown) == rejection


@pytest.mark.checklist(60)
@pytest.mark.parametrize(
    ("name", "passcode", "enters"),
    [("röntgen", PASSCODE, True), ("röntgen", "guess", False), ("", "", False)],
    ids=["right", "wrong", "no identity"],
)
def test_pynetdicom_is_let_in_with_the_right_passcode_only(
    new_house: Callable[..., House], file: Path, name: str, passcode: str, enters: bool
) -> None:
    house = new_house(users=file, user_required=True)
    ae = AE(SENDER)
    ae.add_requested_context("1.2.840.10008.1.1")
    item = UserIdentityNegotiation()
    item.user_identity_type, item.positive_response_requested = NAME_AND_PASSCODE, True
    item.primary_field, item.secondary_field = name.encode(), passcode.encode()
    assoc = ae.associate("127.0.0.1", house.port, ae_title=OURS, ext_neg=[item] if name else [])
    try:
        assert assoc.is_established is enters
        if enters:
            assert assoc.acceptor.primitive.user_information[-1].server_response == b""
            assert assoc.send_c_echo().Status == 0
        else:
            refused = assoc.acceptor.primitive
            assert (refused.result, refused.result_source, refused.diagnostic) == (1, 1, 1)
    finally:
        assoc.release()


@pytest.mark.checklist(60)
@pytest.mark.skipif(
    system_tool("storescu") == "storescu", reason="dcmtk is not installed: its senders were not tried (apt install)"
)
def test_dcmtk_may_send_with_its_passcode(new_house: Callable[..., House], file: Path, tmp_path: Path) -> None:
    house = new_house(users=file, user_required=True)
    item, *_ = made(MR256, 1)
    (path,) = written([item], tmp_path)
    base = [system_tool("storescu"), "-aet", SENDER, "-aec", OURS, "-R"]
    place = ["127.0.0.1", str(house.port), str(path)]
    for wrong in ([], ["-usr", "röntgen", "-pwd", "guess"]):
        assert subprocess.run([*base, *wrong, *place], capture_output=True, timeout=20).returncode != 0
    assert house.kept() == {}
    right = ["-usr", "röntgen", "-pwd", PASSCODE]
    subprocess.run([*base, *right, *place], check=True, capture_output=True, timeout=20)
    assert set(house.kept()) == {item.sop_instance_uid}
    assert item.sop_class_uid == MR_IMAGE


def test_the_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "users.txt"
    path.write_text("one\n")
    known = users.Users(path, required=True)
    assert known.judged(identity(NAME, "two")) == users.UNKNOWN
    path.write_text("one\ntwo\n")
    assert known.judged(identity(NAME, "two")) is None


def test_nobody_is_let_in_while_the_file_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "users.txt"
    path.write_text("one\n")
    known = users.Users(path, required=False)
    path.write_text("two:plain:secret\n")
    assert known.judged(identity(NAME, "one")) == users.UNREADABLE
    path.unlink()
    assert known.judged(None) == users.UNREADABLE


@pytest.mark.parametrize("line", ["a:b", "a:scrypt:zz:zz", "a:scrypt:00:00", "a:md5:" + "0" * 32 + ":" + "0" * 64])
def test_a_line_that_says_nothing_is_named_without_what_it_says(tmp_path: Path, line: str) -> None:
    path = tmp_path / "users.txt"
    path.write_text(f"one\n{line}\n")
    with pytest.raises(ConfigurationError, match=r"listen\.users: line 2 is neither") as caught:
        users.Users(path, required=True)
    assert line not in str(caught.value)


def test_a_missing_file_is_the_admins_matter(new_house: Callable[..., House], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"users\.txt cannot be read"):
        new_house(users=tmp_path / "users.txt")


def test_the_same_passcode_twice_makes_two_lines(file: Path) -> None:
    first, second = (users.line_for("a", b"secret") for _ in range(2))
    assert first != second
    assert "secret" not in first


@pytest.mark.parametrize("name", ["", " ", "a:b", "#a", "a\nb", "x" * 300], ids=repr)
def test_a_name_that_cannot_stand_in_the_file_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="passcode: the name"):
        users.line_for(name, b"secret")


def test_the_command_prints_a_line_that_lets_the_user_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSCODE}\n"))
    assert cli.main(["passcode", "röntgen"]) == 0
    path = tmp_path / "users.txt"
    path.write_text(capsys.readouterr().out)
    assert users.Users(path, required=True).judged(identity(NAME_AND_PASSCODE, "röntgen", PASSCODE)) is None


def test_an_identity_is_in_no_representation() -> None:
    assert PASSCODE not in repr(identity(NAME_AND_PASSCODE, "röntgen", PASSCODE))
    assert "röntgen" not in repr(identity(NAME_AND_PASSCODE, "röntgen", PASSCODE))


def test_no_more_than_two_passcodes_are_looked_at_together(monkeypatch: pytest.MonkeyPatch) -> None:
    counted, most = threading.Lock(), [0, 0]
    hashed = hashlib.scrypt

    def counting(*args: Any, **kwargs: Any) -> bytes:
        with counted:
            most[0] += 1
            most[1] = max(most)
        try:
            return hashed(*args, **kwargs)
        finally:
            with counted:
                most[0] -= 1

    known = users.users_in(users.line_for("röntgen", PASSCODE.encode()))
    monkeypatch.setattr(hashlib, "scrypt", counting)
    shown = identity(NAME_AND_PASSCODE, "röntgen", "guess")
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: users.judged(shown, known, required=True), range(6)))
    assert answers == [users.UNKNOWN] * 6
    assert most[1] <= 2
