"""What the distributions hold: the source distribution every file of the repository, the wheel the package alone."""

from __future__ import annotations

import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from .conftest import Build, make_distributions

GENERATED = {"PKG-INFO", "setup.cfg"}
WARNING = re.compile(r"^warning\b|Warning:|deprecated", re.IGNORECASE)


def wheel_files(path: Path) -> dict[str, bytes]:
    """The content of each file of a wheel."""
    with zipfile.ZipFile(path) as wheel:
        return {name: wheel.read(name) for name in wheel.namelist()}


def test_the_source_distribution_holds_every_file(tracked: set[str], build: Build) -> None:
    with tarfile.open(build.sdist) as tar:
        held = {member.name.partition("/")[2] for member in tar.getmembers() if member.isfile()}
    assert {name for name in held if name not in GENERATED and ".egg-info/" not in name} == tracked


def test_the_wheel_holds_the_package_alone(tracked: set[str], build: Build) -> None:
    held = {name for name in wheel_files(build.wheel) if ".dist-info/" not in name}
    assert held == {name.removeprefix("src/") for name in tracked if name.startswith("src/")}
    assert {"segue/py.typed", "segue/service/page/index.html", "segue/service/page/main.js"} <= held


def test_the_build_warns_of_nothing(build: Build) -> None:
    assert not [line for line in build.output.splitlines() if WARNING.search(line)]


@pytest.mark.slow
def test_the_source_distribution_makes_the_same_distributions(build: Build, tmp_path: Path) -> None:
    with tarfile.open(build.sdist) as tar:
        tar.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    again = make_distributions(unpacked)
    assert wheel_files(again.wheel) == wheel_files(build.wheel)
