"""Commands with random values of every option: they end with 0 or 2 and one message, soon, and their inputs stay."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fuzzing import check_command, digest, fuzz
from hypothesis import given
from hypothesis import strategies as st

from segue.cli import app, status
from segue.data.datasets import catalog
from segue.errors import DataError

EVENTS = "user,item,time,rating\n" + "".join(
    f"u{user},{(3 * user + t) % 8},{1_600_000_000 + 100 * t + user},{1 + (user + t) % 5}\n"
    for user in range(9)
    for t in range(6)
)
COMMANDS: dict[str, list[str]] = {
    "run": ["run", "item-knn", "events.csv"],
    "fit": ["fit", "pop", "events.csv"],
    "search": ["search", "pop", "events.csv"],
    "compare": ["compare", "events.csv", "--models", "pop,s-pop"],
    "board": ["board", "events.csv", "--models", "pop,s-pop", "--tie-range", "0"],
    "blend": ["blend", "models/pop", "models/item-knn", "--data", "events.csv"],
    "evaluate": ["evaluate", "models/pop", "models/item-knn", "--data", "events.csv"],
    "recommend": ["recommend", "models/pop", "--user", "u3"],
    "explain": ["explain", "models/item-knn", "--user", "u3"],
    "similar": ["similar", "models/item-knn", "--item", "3"],
    "models": ["models", "models/pop"],
    "data": ["data", "events.csv"],
    "demo": ["demo"],
    "reproduce": ["reproduce"],
    "serve": ["serve", "models/none"],
    "export": ["export", "models/pop"],
    "monitor": ["monitor", "http://127.0.0.1:9"],
    "retrain": ["retrain", "models/pop", "--store", "sqlite:///none.db"],
}
NUMBERS = (
    *("0", "1", "2", "-1", "-0", "1.5", "1e3", "1e999", "nan", "inf", "-inf", "99999999999", str(2**63)),
    *("9" * 400, "0x10", "1_0", "١"),
)
WORDS = (
    *("", " ", "none", "true", "user", "pop", "item-knn", "a=b", "=", "[]", "[1,2]", "1,2", ",", "*"),
    *("%s", "{}", "é", "\u202e", "\udcff", "\x1b[2J", "\n"),
)
PATHS = (
    *(".", "..", "events.csv", "models", "models/pop", "models/pop/model.json", "no/such", "/dev/null"),
    *("/dev/full", "x" * 300, "new.json", "new.csv", "--", "-"),
)
RULES = (
    *("leave-one-out", "hgn", "session", "ratings", "next-basket", "recall@10", "ndcg@5", "rmse"),
    *("window=3", "rating>3", "time", "s", "length"),
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
VALUE = st.one_of(*map(st.sampled_from, (NUMBERS, WORDS, PATHS, RULES)), TEXT)


def options(command: str) -> list[str]:
    """The long or short names of the options of a command, as its help has them."""
    found = (argument.names for argument in app[command].assemble_argument_collection() if not argument.children)
    return sorted(name for names in found for name in names if re.match(r"--?[a-z]", name))


OPTIONS = {command: options(command) for command in COMMANDS}
CASES = st.sampled_from(list(COMMANDS)).flatmap(
    lambda command: st.tuples(
        st.just(command),
        st.lists(st.tuples(st.sampled_from(OPTIONS[command]), VALUE, st.booleans()), min_size=1, max_size=2),
    )
)


@pytest.fixture
def place(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, sequential_workers: Any
) -> Iterator[Path]:
    """A folder with a log and two saved models, which is the current one; nothing is downloaded, and no chart drawn."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "events.csv").write_text(EVENTS)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SEGUE_QUIET", "1")
    monkeypatch.delenv("SEGUE_DATA", raising=False)
    monkeypatch.setenv("SEGUE_CACHE", str(folder / "cache"))
    monkeypatch.setattr(catalog, "_fetch", _no_network)
    for model in ("pop", "item-knn"):
        assert status(["run", model, "events.csv", "--no-baselines"]) == 0
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _no_network(*args: object, **options: object) -> None:
    raise DataError("no network")


def check(place: Path, command: str, given_options: list[tuple[str, str, bool]], capsys: Any) -> None:
    words = list(COMMANDS[command])
    for option, value, joined in given_options:
        words += [f"{option}={value}"] if joined else [option, value]
    inputs = [place / "models" / "pop", place / "models" / "item-knn"]
    if "events.csv" in COMMANDS[command]:  # another command may be told to write its report over it
        inputs.append(place / "events.csv")
    before = digest(*inputs)
    saves = command in ("run", "fit", "search", "compare", "board", "blend") and "--out" not in words
    check_command([*words, *(["--out", "made"] if saves else [])], capsys)
    assert digest(*inputs) == before, words
    (place / "events.csv").write_text(EVENTS)
    for path in place.iterdir():  # what the command made
        if path.name not in ("events.csv", "models"):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def test_every_command_is_here() -> None:
    groups = {"rules", "store"}  # these have commands of their own
    assert {*COMMANDS, *groups} == {name for name in app if not name.startswith("-")}
    assert sum(map(len, OPTIONS.values())) > 250


@fuzz(40)
@given(CASES)
def test_random_options(place: Path, capsys: Any, case: tuple[str, list[tuple[str, str, bool]]]) -> None:
    check(place, *case, capsys)
