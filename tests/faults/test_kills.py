"""A command that is killed before any change of the file system loses nothing, and ends as usual when run again."""

from __future__ import annotations

import pytest

from .cases import CASES
from .injector import POSSIBLE, Fault
from .laboratory import Laboratory, writes

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="needs Linux and a C compiler")
SAMPLE = {"save over a model": 6, "recommend to Parquet": 7, "run over a model": 21}  # case -> every n-th change


def check(laboratory: Laboratory, name: str, every: int) -> int:
    """Kill a case before every n-th change and within every n-th write; returns the number of kills."""
    case = CASES[name]
    whole = laboratory.whole(case)
    faults = [Fault(at=at) for at in range(1, len(whole.changes) + 1)]
    torn = [Fault(at=at, torn=True) for at in writes(whole)]
    chosen = [*faults[::every], *torn[::every]]
    for fault in chosen:
        ended, folder = laboratory.fail(case, fault)
        assert ended.code == -9, f"{fault} ended with {ended.code}: {ended.stderr}"
        try:
            laboratory.check_consistent(case, folder)
            laboratory.take_up(case, folder)
        except Exception as error:
            error.add_note(f"killed at {fault}: {whole.changes[fault.at - 1]}")
            raise
    return len(chosen)


@pytest.mark.parametrize("name", SAMPLE)
def test_some_kills(laboratory: Laboratory, name: str) -> None:
    assert check(laboratory, name, SAMPLE[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_all_kills(laboratory: Laboratory, name: str) -> None:
    assert check(laboratory, name, CASES[name].every)
