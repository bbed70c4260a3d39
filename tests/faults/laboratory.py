"""`Laboratory`: runs the commands of cases.py with and without faults, each in a fresh copy of the folder it needs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from segue.data.store import open_log
from segue.serving import saved_model

from .cases import Case, contents, write_inputs
from .injector import Ended, Fault, Injector

PROGRESS = re.compile(r"\.search/|\.training/|compare\.json$")  # files that record how far the work is


@dataclass(frozen=True)
class Whole:
    """A command that nothing went wrong with.

    Attributes:
        start: the folder before it.
        before: what the folder held before it.
        after: what the folder held after it.
        changes: what it changed, in order.
    """

    start: Path
    before: dict[str, Any]
    after: dict[str, Any]
    changes: list[str]


class Laboratory:
    """Runs cases, and checks what a fault leaves behind.

    Args:
        folder: an empty folder.
        injector: a running one.
    """

    def __init__(self, folder: Path, injector: Injector) -> None:
        self.folder, self.injector = folder, injector
        self._wholes: dict[Case, Whole] = {}

    def whole(self, case: Case) -> Whole:
        """The case without a fault; it is run once."""
        if case not in self._wholes:
            start = Path(mkdtemp(dir=self.folder))
            write_inputs(start)
            for command in case.prepare:
                self._done(command, start)
            end = self._copy(start)
            changes = self._done(case.command, end).changes
            self._wholes[case] = Whole(start, contents(start), contents(end), changes)
        return self._wholes[case]

    def fail(self, case: Case, fault: Fault) -> tuple[Ended, Path]:
        """Run the case with a fault in a fresh folder; how it ended, and the folder."""
        folder = self._copy(self.whole(case).start)
        return self.injector.run(case.command, folder, fault), folder

    def check_consistent(self, case: Case, folder: Path) -> None:
        """Check that each saved thing is the old one or the new one, complete, and that no input has changed."""
        whole, now = self.whole(case), contents(folder, hidden=False)
        for name in now:
            if Path(name).name in ("model.json", "log.json"):
                _load((folder / name).parent)
        for name in whole.before.keys() & whole.after.keys():
            assert name in now, f"{name} is lost"
        for name in now.keys() & (whole.before.keys() | whole.after.keys()):
            known = [state[name] for state in (whole.before, whole.after) if name in state]
            if not PROGRESS.search(name):
                assert now[name] in known, f"{name} is neither the old nor the new one"

    def take_up(self, case: Case, folder: Path) -> None:
        """Run the command again, without a fault: it has to end as if it had never failed, and to leave nothing else.

        The folder is deleted.
        """
        self._done(case.command, folder)
        assert_equal(contents(folder), self.whole(case).after)
        shutil.rmtree(folder)

    def _done(self, command: str, folder: Path) -> Ended:
        ended = self.injector.run(command, folder)
        assert ended.code == 0, f"{command}: exit code {ended.code}\n{ended.stderr}"
        return ended

    def _copy(self, start: Path) -> Path:
        folder = self.folder / "work"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(start, folder)
        return folder


def assert_equal(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compare two answers of `contents` with a message that names the files."""
    more, fewer = sorted(found.keys() - expected.keys()), sorted(expected.keys() - found.keys())
    different = [name for name in found.keys() & expected.keys() if found[name] != expected[name]]
    differences = {"left over": more, "missing": fewer, "different": different}
    assert not any(differences.values()), str(differences)


def writes(whole: Whole) -> Iterator[int]:
    """The numbers of the changes that are writes."""
    return (number for number, change in enumerate(whole.changes, 1) if change.startswith("write "))


def _load(folder: Path) -> None:
    if (folder / "model.json").is_file():
        saved_model.load(folder)
    else:
        open_log(folder, verify=True)
