"""Logs as they stand in files, and what tests of commands share."""

from __future__ import annotations

import sys

from segue.serving import saved_model

BASELINES = ["pop", "item-knn", "seq-knn", "ease", "vs-knn"]  # of a small log in which users never return
TRAINED = "trained on 48 of 72 events, the newest at 2020-09-13 12:31:51"  # by leave-one-out on `events()`
PYTHON = [sys.executable, "-m", "segue"]


def events(users: int = 12, items: int = 8, length: int = 6, header: str = "user,item,time") -> str:
    """User u3 begins with item 9 mod `items` and takes the next item every 100 seconds; users are a second apart."""
    rows = (f"u{u},{(3 * u + t) % items},{1_600_000_000 + 100 * t + u}\n" for u in range(users) for t in range(length))
    return "".join([f"{header}\n", *rows])


def broken(row: int, line: str) -> str:
    """`events()` with one row, counted from 1 below the header, replaced."""
    lines = events().splitlines(keepends=True)
    lines[row] = f"{line}\n"
    return "".join(lines)


def done(answer):
    """The output of a command that must have worked."""
    code, out, err = answer
    assert code == 0, err
    return out


def weights(folder):
    """The weights of a saved model by name, as arrays."""
    return {key: value.numpy() for key, value in saved_model.load(folder).model.state_dict().items()}


def leaky(here, users=12):
    """Sessions beside `events.csv`; the last three are tests, and one of them does what a training session did."""
    text = (here / "events.csv").read_text().splitlines()
    copied = [line.replace("u0,", "u9,") for line in text if line.startswith("u0,")]
    kept = [line for line in text if not line.startswith("u9,")]
    (here / "events.csv").write_text("\n".join([*kept, *copied]) + "\n")
    parts = [f"u{u},{'test' if u > 8 else 'valid' if u == 8 else 'train'}\n" for u in range(users)]
    (here / "sessions.csv").write_text("user,split\n" + "".join(parts))
    return "events.csv --users sessions.csv"
