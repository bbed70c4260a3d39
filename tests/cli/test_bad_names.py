"""Names of users and items that are rounded, missing or unknown: one message, exit code 2, and nothing is changed."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from .bad_input import Bad, Prepare, check, written
from .logs import broken, done, events


def typed(
    dtype: pl.DataType | type[pl.DataType], start: int, column: str = "user", path: str = "bad.parquet"
) -> Prepare:
    """Forty events of forty users in Parquet, the users (or items) numbered from `start` in this type."""

    def prepare(patch: pytest.MonkeyPatch) -> None:
        numbers = pl.DataFrame({"user": range(start, start + 40), "item": [start + n % 7 for n in range(40)]})
        times = pl.Series("time", range(1_600_000_000, 1_600_000_040))
        numbers.with_columns(times, pl.col(column).cast(dtype)).write_parquet(path)

    return prepare


def numbered(form: str) -> str:
    """`events()` with numbers for users, the fourth of which is in another form."""
    lines = events().replace("u", "").replace("ser,", "user,").splitlines(keepends=True)
    return "".join([*lines[:4], form + lines[4][lines[4].index(",") :], *lines[5:]])


ROUNDED = {
    f"{kind} {column}": Bad(
        "data bad.parquet",
        rf"bad\.parquet, column '{column}', row 1: .* may be several names, because {kind} .*original data",
        prepare=typed(dtype, start, column),
    )
    for kind, dtype, start in (
        ("float16", pl.Float16, 2_100),
        ("float32", pl.Float32, 17_000_000),
        ("float64", pl.Float64, 2**53),
    )
    for column in ("user", "item")
}
FILES = {
    **ROUNDED,
    "rounded, then text": Bad("data bad.csv", r"row 4: 9007199254740994\.0 may be several", numbered(f"{2**53 + 2}.0")),
    "scientific": Bad("data bad.csv", r"'user', row 4: '1\.23457E\+12' is a number without", numbered("1.23457E+12")),
    "scientific of pandas": Bad("data bad.csv", r"row 4: '1\.6e\+18' is a number without", numbered("1.6e+18")),
    "a blank name": Bad("data bad.csv", r"bad\.csv, column 'user', row 5: empty; fill it in", broken(5, " ,4,5")),
    "a blank item": Bad("data bad.csv", r"bad\.csv, column 'item', row 5: empty; fill it in", broken(5, "u0, ,5")),
    "yes and no": Bad("data bad.parquet", "column 'user': Boolean cannot be a name", prepare=typed(pl.Boolean, 0)),
    "times for users": Bad("data bad.parquet", r"'user': Datetime.* cannot be a name", prepare=typed(pl.Datetime, 0)),
    "rounded items of titles": Bad(
        "data events.csv --items titles.parquet",
        r"titles\.parquet, column 'item', row 1: 17000000 may be several names, because float32",
        prepare=typed(pl.Float32, 17_000_000, "item", "titles.parquet"),
    ),
}


@pytest.mark.parametrize("bad", FILES.values(), ids=FILES)
def test_names_that_cannot_be_read(bad, here, segue, monkeypatch):
    check(bad, here, segue, monkeypatch)


NOT_UNICODE = {
    "model": Bad(["run", "pop", "events.csv", "-o", "x\udcff"], r"is no valid Unicode \(UTF-8\); choose another name"),
    "model inside": Bad(["fit", "pop", "events.csv", "-o", "x\udcff/y"], r"no valid Unicode"),
    "log": Bad(["data", "events.csv", "-o", "x\udcff"], r"no valid Unicode"),
    "table": Bad(
        ["recommend", "models/pop", "--all", "--out", "x\udcff.parquet"], r"which Parquet needs; give another"
    ),
    "data": Bad(
        ["data", "x\udcff.csv"], r"no valid Unicode \(UTF-8\); rename it", prepare=written("x\udcff.csv", events())
    ),
    "items": Bad(
        ["data", "events.csv", "--items", "x\udcff.csv"], r"rename it", prepare=written("x\udcff.csv", "item,title\n")
    ),
}


@pytest.mark.parametrize("bad", NOT_UNICODE.values(), ids=NOT_UNICODE)
def test_names_of_files_that_are_no_unicode(bad, here, segue, monkeypatch):
    check(bad, here, segue, monkeypatch)


FORMS = ("01", "+1", "1_0", "1.0", "1e0", "\uff11", "0x1", "--1", "1\u0661")


@pytest.mark.parametrize("form", FORMS)
def test_another_form_of_a_number_is_an_unknown_item(form, here, segue, monkeypatch):
    check(
        Bad(["recommend", "models/pop", f"--history={form}", "--strict"], r"unknown item '"), here, segue, monkeypatch
    )


@pytest.mark.parametrize("form", ["01", "1_0", "+1", "\uff11"])
def test_another_form_of_a_number_is_an_unknown_user(form, here, segue, monkeypatch):
    Path("numbers.csv").write_text(numbered("0"))
    done(segue("run pop numbers.csv --no-baselines"))
    check(Bad(["recommend", "models/pop", f"--user={form}", "--strict"], r"unknown user '"), here, segue, monkeypatch)


def test_blanks_around_a_name_do_not_count(here, segue):
    Path("numbers.csv").write_text(numbered(" 0 "))
    done(segue("run pop numbers.csv --no-baselines"))
    spaced, plain = (done(segue(["recommend", "models/pop", "--user", name])) for name in (" 1 ", "1"))
    assert spaced.replace("user  1 ", "user 1") == plain


def test_what_was_assumed_about_names_is_said_once(here, segue, monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET")
    Path("dotted.csv").write_text(events().replace("u", "").replace("ser", "user").replace(",16", ".0,16"))
    for command in ("data dotted.csv", "run pop dotted.csv --no-baselines"):
        code, _, err = segue(command)
        assert code == 0
        assert err.replace("\n", " ").count("names such as '0.0' are read as whole numbers, 0.") == 1
