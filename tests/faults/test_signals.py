"""Ctrl-C and SIGTERM at any change of the file system: an exit code, one message, nothing lost, nothing left."""

from __future__ import annotations

import re
import signal

import pytest

from .cases import CASES, contents
from .injector import POSSIBLE, Fault
from .laboratory import Laboratory, assert_equal

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="needs Linux and a C compiler")
ENDS = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "terminated")}


def check(laboratory: Laboratory, name: str, number: signal.Signals, every: int) -> None:
    """Send a signal before every n-th change of a case."""
    case, (code, word) = CASES[name], ENDS[number]
    whole = laboratory.whole(case)
    for at in range(1, len(whole.changes) + 1, every):
        ended, folder = laboratory.fail(case, Fault(at, signal=number))
        try:
            assert ended.code in (0, code), ended.stderr
            assert "Traceback" not in ended.stderr
            if ended.code == 0:
                assert_equal(contents(folder), whole.after)
                continue
            assert re.match(f"segue: {word}", ended.stderr.splitlines()[-1]), ended.stderr
            if whole.changes[at - 1].split()[0] not in ("unlink", "rmdir"):  # the signal did not interrupt the clean-up
                assert not [path for path in contents(folder) if re.search(r"(^|/)\.", path)]
            laboratory.check_consistent(case, folder)
            laboratory.take_up(case, folder)
        except Exception as error:
            error.add_note(f"{number.name} at {at}: {whole.changes[at - 1]}")
            raise


@pytest.mark.parametrize("number", ENDS)
@pytest.mark.parametrize(("name", "every"), [("save over a model", 15), ("run over a model", 31)])
def test_some_signals(laboratory: Laboratory, name: str, number: signal.Signals, every: int) -> None:
    check(laboratory, name, number, every)


@pytest.mark.slow
@pytest.mark.parametrize("number", ENDS)
@pytest.mark.parametrize("name", CASES)
def test_all_signals(laboratory: Laboratory, name: str, number: signal.Signals) -> None:
    check(laboratory, name, number, 3 * CASES[name].every)
