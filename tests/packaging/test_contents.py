"""What the distributions hold: the source distribution every file of the repository, the wheel the package alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
OF_REPOSITORY = (".ci/", ".gitignore")  # they serve the repository, and nobody who installs
GENERATED = {"PKG-INFO", "setup.cfg"}
BUILD = "import setuptools.build_meta as m; print(m.build_sdist('dist')); print(m.build_wheel('dist'))"
WARNING = re.compile(r"^warning\b|Warning:|deprecated", re.IGNORECASE)


@pytest.fixture(scope="module")
def tracked() -> set[str]:
    """The files of the repository that people who install segue can use."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this folder is no git checkout, so it is unknown which files belong to it")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {name for name in listed.split("\0") if name and not name.startswith(OF_REPOSITORY)}


class Build(NamedTuple):
    """A build of both distributions.

    Attributes:
        folder: where they lie.
        output: what was printed.
    """

    folder: Path
    output: str


@pytest.fixture(scope="module")
def build(tracked: set[str], tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Both distributions, made from a copy of the tracked files."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("checkout")
    for name in tracked:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-W", "error", "-c", BUILD]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return Build(folder / "dist", done.stdout + done.stderr)


def test_the_source_distribution_holds_every_file(tracked: set[str], build: Build) -> None:
    (archive,) = build.folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        held = {member.name.partition("/")[2] for member in tar.getmembers() if member.isfile()}
    assert {name for name in held if name not in GENERATED and ".egg-info/" not in name} == tracked


def test_the_wheel_holds_the_package_alone(tracked: set[str], build: Build) -> None:
    (archive,) = build.folder.glob("*.whl")
    with zipfile.ZipFile(archive) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == {name.removeprefix("src/") for name in tracked if name.startswith("src/")}
    assert "segue/py.typed" in held


def test_the_build_warns_of_nothing(build: Build) -> None:
    assert not [line for line in build.output.splitlines() if WARNING.search(line)]
