"""OHIF's pages as its makers built them: fetched once by npm, held to the known hash, unpacked into a cache."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

VERSION = "3.13.2"
SHA512 = "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
"""Of the package as npm hands it out, in base64 as npm writes it (dist.integrity)."""
CACHE = Path(__file__).resolve().parents[2] / ".cache"
WITHIN_S = 600.0
ROOT = "package/dist/"
LEFT_OUT = ("package/dist/ort/",)
"""Models and their runtime for outlining by hand, two thirds of the whole; nothing here asks for them."""


class ViewerUnavailable(Exception):
    """OHIF cannot be had on this machine; the message says what to do."""


def is_there(cache: Path = CACHE) -> bool:
    """Whether the pages need not be fetched."""
    return _folder(cache).is_dir()


def pages(cache: Path = CACHE) -> Path:
    """The folder of OHIF's pages below `cache`; made there the first time, which takes 50 MB of download.

    Raises
    ------
    ViewerUnavailable
        When npm is not installed, does not reach its registry, or hands out something else than is known.
    """
    folder = _folder(cache)
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="ohif-", dir=cache) as draft:
            package = _fetched(Path(draft))
            _unpack(package, Path(draft) / "pages")
            if not folder.is_dir():  # another process may have been faster
                (Path(draft) / "pages").rename(folder)
    return folder


def _folder(cache: Path) -> Path:
    return cache / f"ohif-{VERSION}"


def _fetched(folder: Path) -> Path:
    """The package as one file in `folder`."""
    npm = shutil.which("npm")
    if npm is None:
        raise ViewerUnavailable("npm is not installed, and OHIF comes from npm: apt-get install npm.")
    command = [npm, "pack", "--silent", "--fetch-retries=1", f"@ohif/app@{VERSION}"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=WITHIN_S, check=False)
        said = (done.stderr.strip().splitlines() or ["no word"])[0]
    except subprocess.TimeoutExpired:
        said = f"no answer within {WITHIN_S:.0f} s"
    found = sorted(folder.glob("*.tgz"))
    if not found:
        raise ViewerUnavailable(
            f"npm did not get @ohif/app {VERSION}: {said}. Is its registry within reach (npm config get registry)?"
        )
    if (hashed := base64.b64encode(hashlib.sha512(found[0].read_bytes()).digest()).decode()) != SHA512:
        raise ViewerUnavailable(
            f"@ohif/app {VERSION} as npm got it has SHA-512 {hashed[:12]}..., known is {SHA512[:12]}...:"
            " it is not used. Ask who runs the registry."
        )
    return found[0]


def _unpack(package: Path, into: Path) -> None:
    """The files of the built pages alone, without the maps for their developers.

    By hand, because Debian 12's Python knows no filter for what an archive may write where.
    """
    home = into.resolve()
    with tarfile.open(package) as archive:
        for member in archive:
            name = member.name
            if not name.startswith(ROOT) or name.startswith(LEFT_OUT) or name.endswith(".map") or not member.isfile():
                continue
            path = (home / name.removeprefix(ROOT)).resolve()
            content = archive.extractfile(member)
            if content is None or not path.is_relative_to(home):
                raise ViewerUnavailable(f"@ohif/app {VERSION} holds {name!r}, which lies outside its pages.")
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                shutil.copyfileobj(content, file)
