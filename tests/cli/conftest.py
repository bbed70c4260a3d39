"""A folder with a log and four saved models, and a way to run commands in it."""

import shlex
import shutil

import pytest

from segue.cli import status
from segue.reporting.console import stderr, stdout

from .logs import events


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """`events.csv` and models of it: pop, hgn, ratio (pop under another protocol); and `other`, pop of another log."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "events.csv").write_text(events())
    (folder / "other.csv").write_text(events(users=13))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SEGUE_QUIET", "1")
        for command in (
            "run pop events.csv",
            "run hgn events.csv --set embedding_dim=4 epochs=2",
            "run pop events.csv --protocol hgn --out models/ratio",
            "run pop other.csv --out models/other",
        ):
            assert status(shlex.split(command)) == 0
    return folder


@pytest.fixture
def here(shop, tmp_path, monkeypatch):
    """A copy of the shop, as the current folder; no named data set is at hand, and remarks are silenced."""
    folder = shutil.copytree(shop, tmp_path / "here")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("SEGUE_DATA", raising=False)
    monkeypatch.setenv("SEGUE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SEGUE_QUIET", "1")
    monkeypatch.setenv("COLUMNS", "100")
    for console in (stdout, stderr):  # one made before would keep its width
        console.cache_clear()
    return folder


@pytest.fixture
def segue(here, capsys):
    """`segue("data events.csv")`: the exit code, stdout and stderr of a command."""

    def run(command):
        capsys.readouterr()
        code = status(shlex.split(command) if isinstance(command, str) else command)
        return code, *capsys.readouterr()

    return run
