"""Certificates for tests of TLS, made by openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Identity:
    """A certificate that signs itself, and its key."""

    certificate: Path
    key: Path


def identity(folder: Path, name: str) -> Identity:
    """One for the address 127.0.0.1."""
    made = Identity(folder / f"{name}.pem", folder / f"{name}.key")
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name}"
    files = ["-keyout", str(made.key), "-out", str(made.certificate)]
    subprocess.run(
        [*command.split(), *files, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True
    )
    return made
