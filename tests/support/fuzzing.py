"""What the fuzz tests share: odd values, commands that may not hang, and folders that may not change."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from segue.cli import status
from segue.reporting.streams import prepare_streams

SECONDS = 60  # that a command may take on a busy machine
TIMES = int(os.environ.get("SEGUE_FUZZ", "1"))  # as many examples, which are new ones in each run if it is not 1


def fuzz(examples: int) -> settings:
    """Settings of a fuzz test with so many examples, or a multiple of them; see `TIMES`."""
    lenient = list(HealthCheck)
    return settings(max_examples=TIMES * examples, derandomize=TIMES == 1, suppress_health_check=lenient, database=None)


NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, 2**31, 2**63, -(2**63), 10**30, -0.0, 0.5, 1e-300, 1e300]),
    st.integers(),
    st.floats(),
)
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["", " ", "x" * 10_000, "a\nb", "\x1b[31m", "\u202e", "..", "/", "a/b", "None", "nan", "1e999", "[", "{}"]
    ),
)
PLAIN = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6
)


class Hang(BaseException):
    """A command took too long; no exception that a command handles."""


@contextmanager
def alarm(seconds: int) -> Iterator[None]:
    """Raise `Hang` in this thread after so many seconds."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise Hang(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def check_command(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> int:
    """Run a command: it works, or ends with 2 and one message; no exception leaves it, and it does not hang."""
    capsys.readouterr()
    prepare_streams()
    with alarm(SECONDS):
        code = status(words)
    out, err = capsys.readouterr()
    assert code in (0, 2), (words, code)
    assert "Traceback" not in out + err, words
    if code == 2:
        assert "segue: " in err, words
    return code


def digest(*paths: Path) -> str:
    """A hash of files and of the files in folders, with their names."""
    total = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            total.update(str(file).encode() + (file.read_bytes() if file.is_file() else b""))
    return total.hexdigest()


def at_path(content: object, steps: Sequence[int]) -> tuple[object, object]:
    """A container inside nested plain values, and one of its keys; the steps choose the way down."""
    place: tuple[object, object] = (None, None)
    for step in steps:
        if isinstance(content, dict) and content:
            key: object = sorted(content)[step % len(content)]
            place, content = (content, key), content[key]
        elif isinstance(content, list) and content:
            place, content = (content, step % len(content)), content[step % len(content)]
    return place
