"""The distributions of segue, built from the files that belong to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
OF_REPOSITORY = (".ci/", ".gitignore")  # they serve the repository, and nobody who installs
BUILD = "import setuptools.build_meta as m; print(m.build_sdist('dist')); print(m.build_wheel('dist'))"


class Build(NamedTuple):
    """A build of both distributions.

    Attributes:
        sdist: the source distribution.
        wheel: the wheel.
        output: what was printed.
    """

    sdist: Path
    wheel: Path
    output: str


@pytest.fixture(scope="session")
def tracked() -> set[str]:
    """The files of the repository that people who install segue can use."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this folder is no git checkout, so it is unknown which files belong to it")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {name for name in listed.split("\0") if name and not name.startswith(OF_REPOSITORY)}


@pytest.fixture(scope="session")
def build(tracked: set[str], tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Both distributions, made from a copy of the tracked files."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in tracked:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return make_distributions(folder)


def make_distributions(folder: Path) -> Build:
    """Build both distributions of the project in a folder, with warnings as errors."""
    if find_spec("setuptools") is None:  # importing it here would replace distutils in the process of the tests
        pytest.skip("setuptools is not installed")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-W", "error", "-c", BUILD]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    sdist, wheel = (next((folder / "dist").glob(pattern)) for pattern in ("*.tar.gz", "*.whl"))
    return Build(sdist, wheel, done.stdout + done.stderr)
