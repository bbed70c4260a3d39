"""A disk that is full, fails or refuses at any change of the file system: one message, nothing lost, nothing left."""

from __future__ import annotations

import errno
import os
import re

import pytest

from .cases import CASES, contents
from .injector import POSSIBLE, Fault
from .laboratory import Laboratory, assert_equal

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="needs Linux and a C compiler")
SAMPLE = {"ingest over a log": 15, "run": 30, "recommend to Parquet": 6}  # case -> every n-th fault
# changes of which only some errors are likely
NEEDS_SPACE = ("create", "write", "mkdir", "truncate")
CAN_FAIL = ("write", "fsync")
CAN_BE_FORBIDDEN = ("create", "mkdir", "rename", "exchange")


def faults(changes: list[str]) -> list[Fault]:
    """A full disk, a failing one and a forbidden change, wherever each of them can happen."""
    found = []
    for at, change in enumerate(changes, 1):
        kind = change.split()[0]
        if kind in NEEDS_SPACE:
            found.append(Fault(at, error=errno.ENOSPC, lasting=True))
        if kind in CAN_FAIL:
            found.append(Fault(at, error=errno.EIO))
        if kind in CAN_BE_FORBIDDEN:
            found.append(Fault(at, error=errno.EACCES))
    return found


def check(laboratory: Laboratory, name: str, every: int) -> int:
    """Inject every n-th fault into a case; returns their number."""
    case = CASES[name]
    whole = laboratory.whole(case)
    chosen = faults(whole.changes)[::every]
    for fault in chosen:
        ended, folder = laboratory.fail(case, fault)
        try:
            assert ended.code in (0, 2), ended.stderr
            if "is left out" in ended.stderr:  # a comparison goes on without the model, and takes it up when run again
                laboratory.take_up(case, folder)
                continue
            if ended.code == 0:  # it was not needed
                assert_equal(contents(folder), whole.after)
                continue
            last = ended.stderr.splitlines()[-1]
            assert re.match("segue: .*" + message(fault.error), last), last
            assert not re.search(r"Traceback|Errno|os error|/\.", ended.stderr)
            assert not [name for name in contents(folder) if re.search(r"(^|/)\.", name)]
            laboratory.check_consistent(case, folder)
            laboratory.take_up(case, folder)
        except Exception as error:
            error.add_note(f"{fault}: {whole.changes[fault.at - 1]}")
            raise
    return len(chosen)


def message(number: int) -> str:
    """What the last line must contain."""
    return f"({re.escape(os.strerror(number))}|is the disk full)"


@pytest.mark.parametrize("name", SAMPLE)
def test_some_errors(laboratory: Laboratory, name: str) -> None:
    assert check(laboratory, name, SAMPLE[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_all_errors(laboratory: Laboratory, name: str) -> None:
    assert check(laboratory, name, 2 * CASES[name].every)
