"""Certificates for tests of TLS, made by openssl."""

import subprocess
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path


@dataclass(frozen=True)
class Identity:
    """A certificate that signs itself, and its key."""

    certificate: Path
    key: Path


def identity(folder: Path, name: str) -> Identity:
    """One for the address 127.0.0.1, for two days."""
    made = Identity(folder / f"{name}.pem", folder / f"{name}.key")
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name}"
    files = ["-keyout", str(made.key), "-out", str(made.certificate)]
    subprocess.run(
        [*command.split(), *files, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True
    )
    return made


def issued(folder: Path, name: str, authority: Identity, first_day: int, last_day: int) -> Identity:
    """One that `authority` signs, valid from `first_day` to `last_day`, counted from today."""
    made = Identity(folder / f"{name}.pem", folder / f"{name}.key")
    settings = folder / f"{name}.cnf"
    settings.write_text(
        "[ca]\ndefault_ca=a\n[a]\ndatabase=" + str(folder / f"{name}.index") + f"\nserial={folder / name}.serial\n"
        f"new_certs_dir={folder}\ndefault_md=sha256\npolicy=p\nx509_extensions=x\n[p]\ncommonName=supplied\n"
        "[x]\nsubjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n"
    )
    (folder / f"{name}.index").write_text("")
    (folder / f"{name}.serial").write_text(f"{zlib.crc32(name.encode()):08X}")
    request = folder / f"{name}.csr"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    _openssl("req", *curve, "-nodes", "-subj", f"/CN={name}", "-keyout", made.key, "-out", request)
    days = [(datetime.now(UTC) + timedelta(days=day)).strftime("%Y%m%d%H%M%SZ") for day in (first_day, last_day)]
    _openssl(
        "ca", "-batch", "-notext", "-config", settings, "-cert", authority.certificate, "-keyfile", authority.key,
        "-in", request, "-out", made.certificate, "-startdate", days[0], "-enddate", days[1],
    )  # fmt: skip
    return made


def _openssl(*words: object) -> None:
    done = subprocess.run(["openssl", *map(str, words)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
