"""What callers get who give another type than the annotation says; the other tests check all types, so not here."""

from __future__ import annotations

import subprocess
import sys

import pytest

START = """
from segue import Experiment, Protocol
from segue.data import synthetic
from segue.errors import SegueError
from segue.models.base.model import Sizes
from segue.models.registry import find

log, protocol = synthetic.cycle(), Protocol.named("leave-one-out")
kind = find("learnt-counts")
model = kind(kind.configure(), Sizes.of(log))
for call in CALLS:
    try:
        eval(call)
    except SegueError as error:
        print(error)
"""
CALLS = {
    "protocol.split(log).instances('tset')": "unknown part of a split 'tset', did you mean 'test'?; known: valid, test",
    "protocol.evaluate(model, protocol.split(log), 'valdi')": "unknown part of a split 'valdi'",
    "Experiment(model='pop', protocol='leave-one-out')": "must be a Protocol, such as Protocol.named('leave-one-out')",
    "Experiment(model='pop', protocol=protocol).run('events.csv')": "a str is no log; load_log makes one of a file",
    "model.update([['a']], ['b'])": "an event to learn, 'b' after ['a'], needs ids of items from 1 to",
    "model.update([[1.5]], [1])": "an event to learn, 1 after [1.5], needs ids of items from 1 to",
}


@pytest.fixture(scope="module")
def answers() -> list[str]:
    code = f"CALLS = {list(CALLS)!r}\n{START}"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.splitlines()


def test_each_wrong_type_is_an_error_that_says_what_to_give(answers: list[str]) -> None:
    assert len(answers) == len(CALLS)
    for answer, message in zip(answers, CALLS.values(), strict=True):
        assert message in answer
