"""`segue recommend`: fallbacks, histories of any name, filters, and many users in one file."""

from __future__ import annotations

import json

import polars as pl
import pytest

from .bad_input import Bad, check, written
from .logs import done


@pytest.fixture
def signs(segue, here):
    """A model of a log in which items have commas in their names, and metadata."""
    (here / "signs.csv").write_text((here / "events.csv").read_text().replace(",1,", ',"AIRLINE LOUNGE,METAL SIGN",'))
    rows = "".join(f"{i},{'red' if i % 2 else 'blue'}\n" for i in range(8) if i != 1)
    (here / "kinds.csv").write_text(f'item,colour\n{rows}"AIRLINE LOUNGE,METAL SIGN",red\n')
    done(segue("run item-knn signs.csv --items kinds.csv --no-baselines --out models/signs"))
    return here


def answer(segue, here, command):
    out = done(segue(f"{command} --json answer.json"))
    found = json.loads((here / "answer.json").read_text())
    return out, found, [one["item"] for one in found["recommended"]]


def test_an_unknown_user_gets_popular_items_and_a_word(segue, here):
    out, found, items = answer(segue, here, "recommend models/hgn --user U3 -k 2")
    assert "Fallback: popularity, because user 'U3' is unknown, did you mean 'u3'? The scores" in " ".join(out.split())
    assert "Recommended to user U3:" in out
    assert "events" in out
    assert found["fallback"] == "user 'U3' is unknown, did you mean 'u3'?"
    assert found["unknown_user"] == "U3"
    counts = pl.read_csv(here / "events.csv")["item"].value_counts().sort(pl.col("count"), pl.col("item") * -1)
    assert items == counts["item"].to_list()[:-3:-1]


@pytest.mark.parametrize(
    ("history", "reason"), [("", "the history is empty"), ("98,99", "no item of the history is known")]
)
def test_a_history_that_says_nothing_gets_popular_items(segue, here, history, reason):
    out = done(segue(["recommend", "models/hgn", "--history", history, "--json", "answer.json"]))
    found = json.loads((here / "answer.json").read_text())
    assert f"popularity, because {reason}." in " ".join(out.split())
    assert found["fallback"] == reason
    assert found["ignored"] == (["98", "99"] if history else [])


def test_unknown_items_of_a_history_are_left_out(segue, here):
    out, found, items = answer(segue, here, "recommend models/hgn --history 1,99,2 -k 3")
    assert "Left out of the history: 1 item that the model does not know ('99')." in " ".join(out.split())
    assert found["fallback"] is None
    assert items == answer(segue, here, "recommend models/hgn --history 1,2 -k 3")[2]


@pytest.mark.parametrize(
    "words",
    [
        ["--item", "AIRLINE LOUNGE,METAL SIGN", "--item", "2"],
        ["--history", '["AIRLINE LOUNGE,METAL SIGN", "2"]'],
        ["--history", '["AIRLINE LOUNGE,METAL SIGN", 2]'],
    ],
)
def test_items_of_any_name_make_a_history(segue, signs, words):
    out = done(segue(["recommend", "models/signs", *words]))
    assert "AIRLINE LOUNGE,METAL SIGN" in out.split("Recommended")[0]
    assert "Left out" not in out


def test_filters(segue, signs):
    _, _, items = answer(segue, signs, "recommend models/signs --history 2,3 --where colour=red")
    assert set(items) == {"AIRLINE LOUNGE,METAL SIGN", "5", "7"}
    for words in ("colour=red colour=blue", "colour=red --where colour=blue"):
        _, _, either = answer(segue, signs, f"recommend models/signs --history 2,3 -k 20 --where {words}")
        assert set(either) > set(items), "several values of one column are alternatives"
    (signs / "deny.txt").write_text("AIRLINE LOUNGE,METAL SIGN\n")
    _, _, items = answer(segue, signs, "recommend models/signs --history 2,3 --where colour=red --deny deny.txt")
    assert set(items) == {"5", "7"}
    (signs / "allow.csv").write_text('item\n"AIRLINE LOUNGE,METAL SIGN"\n2\n')
    _, _, items = answer(segue, signs, "recommend models/signs --history 2,3 --allow allow.csv")
    assert items == ["AIRLINE LOUNGE,METAL SIGN"]
    _, _, items = answer(segue, signs, "recommend models/signs --history 2,3 --allow allow.csv --include-seen")
    assert set(items) == {"AIRLINE LOUNGE,METAL SIGN", "2"}
    out = done(segue("recommend models/signs --history 2,3 --allow allow.csv --deny deny.txt"))
    assert "Nothing is left to recommend to this history: every item that is allowed was seen." in " ".join(out.split())


def test_unknown_names_in_a_filter_are_said(segue, here, monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET")
    (here / "deny.txt").write_text("1\n77\n")
    code, _, err = segue("recommend models/pop --user u1 --deny deny.txt")
    assert code == 0
    assert "Warning: 1 item of --deny is unknown to the model: '77'" in err


@pytest.mark.parametrize(
    ("name", "content"), [("deny.txt", "\n"), ("deny.csv", ""), ("deny.csv", "item\n"), ("d.json", "[]")]
)
def test_an_empty_file_denies_nothing(segue, here, monkeypatch, name, content):
    monkeypatch.delenv("SEGUE_QUIET")
    (here / name).write_text(content)
    code, out, err = segue(f"recommend models/pop --user u1 --deny {name}")
    assert code == 0
    assert f"{name}: has no items in it, so --deny leaves none out" in err
    assert out == segue("recommend models/pop --user u1")[1]


def test_names_send_no_control_characters_to_the_terminal(segue, here):
    text = (here / "events.csv").read_text().replace(",1,", ",one\x1b[2J,")
    (here / "odd.csv").write_text(text)
    done(segue("run pop odd.csv --no-baselines --out models/odd"))
    out = done(segue(["recommend", "models/odd", "--item", "one\x1b[2J", "--include-seen"]))
    assert out.count("one\ufffd[2J") == 2
    assert "\x1b" not in out


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_many_users_get_what_each_would_get_alone(segue, here, form):
    (here / "users.txt").write_text("u3\nnobody\nu1\n")
    assert not done(segue(f"recommend models/hgn --users users.txt -k 2 --out found.{form} --json counts.json"))
    read = {"parquet": pl.read_parquet, "csv": pl.read_csv, "jsonl": pl.read_ndjson}[form]
    found = read(here / f"found.{form}")
    assert found.columns == ["user", "rank", "item", "score", "fallback"]
    for user in ("u3", "u1", "nobody"):
        _, alone, items = answer(segue, here, f"recommend models/hgn --user {user} -k 2")
        rows = found.filter(pl.col("user") == user)
        assert (rows["rank"].to_list(), rows["item"].to_list()) == ([1, 2], items)
        assert rows["score"].to_list() == pytest.approx([one["score"] for one in alone["recommended"]], abs=1e-5)
        assert (rows["fallback"][0] is None) == (alone["fallback"] is None)
    counts = json.loads((here / "counts.json").read_text())
    wanted = {"users": 3, "rows": 6, "unknown": 1, "fallback": 1, "empty": 0}
    assert {name: counts[name] for name in wanted} == wanted


def test_all_users(segue, here, monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET")
    code, _, err = segue("recommend models/pop --all -k 100000000 --out all.parquet")
    assert code == 0
    assert err.endswith("recommendations: all.parquet (24 rows for 12 users)\n")
    assert pl.read_parquet(here / "all.parquet")["user"].n_unique() == 12


BAD = {
    "user and all": Bad("recommend models/pop --all --user u1 --out x.csv", r"--all and --user: give only one of them"),
    "users and all": Bad("recommend models/pop --all --users u.txt --out x.csv", r"--all and --users: give only one"),
    "all without a file": Bad(
        "recommend models/pop --all", r"--all: name the file for the recommendations, such as --o"
    ),
    "one answer to a table file": Bad("recommend models/pop --user u1 --out x.csv", r"--out x\.csv: is for many users"),
    "format of the file": Bad("recommend models/pop --all --out x.xlsx", r"--out x\.xlsx: give a file whose name ends"),
    "out is a folder": Bad(
        "recommend models/pop --all --out models.csv", "is a folder", prepare=written("models.csv/x")
    ),
    "out in no folder": Bad("recommend models/pop --all --out no/x.csv", r"--out no/x\.csv: .*there is no folder"),
    "out is the users": Bad(
        "recommend models/pop --users u.csv --out u.csv",
        r"is also what is read",
        prepare=written("u.csv", "user\nu1\n"),
    ),
    "no users file": Bad(
        "recommend models/pop --users none.txt --out x.csv", r"none\.txt: cannot be read .*No such file"
    ),
    "users in a device": Bad(
        "recommend models/pop --users /dev/null --out x.csv", r"/dev/null: cannot be read .*it is a pipe or a device"
    ),
    "empty users file": Bad(
        "recommend models/pop --users u.txt --out x.csv", r"u\.txt: has no users in it", prepare=written("u.txt", "\n")
    ),
    "users file without a column": Bad(
        "recommend models/pop --users u.csv --out x.csv",
        r"u\.csv: has no column of users; call one column 'user'",
        prepare=written("u.csv", "a,b\n1,2\n"),
    ),
    "header in a text file": Bad(
        "recommend models/pop --users u.txt --out x.csv", r"looks like a header", prepare=written("u.txt", "user\nu1\n")
    ),
    "strict with an unknown user of a file": Bad(
        "recommend models/pop --users u.txt --out x.csv --strict",
        r"unknown user 'u99'",
        prepare=written("u.txt", "u1\nu99\n"),
    ),
    "k 0 for all": Bad("recommend models/pop --all --out x.csv -k 0", r"k=0: must be at least 1"),
    "history twice": Bad("recommend models/pop --history 1 --item 2", r"--history and --item: both give the history"),
    "history is no list": Bad(
        ["recommend", "models/pop", "--history", "[1, a]"], r"--history \[1, a\]: is not a JSON list .* double quotes"
    ),
    "history of lists": Bad(["recommend", "models/pop", "--history", "[[1]]"], r"\[1\] is not the name of an item"),
    "history of fractions": Bad(["recommend", "models/pop", "--history", "[1.5]"], r"1\.5 is not the name of an item"),
    "history with a null": Bad(["recommend", "models/pop", "--history", "[1, null]"], r"null is not the name"),
    "history with an empty name": Bad("recommend models/pop --history 1,,2", r"there is no name between two commas"),
    "strict with an unknown item": Bad("recommend models/pop --item 1 --item 99 --strict", r"unknown item '99'"),
    "allow file missing": Bad(
        "recommend models/pop --user u1 --allow none.txt", r"none\.txt: cannot be read .*No such file"
    ),
    "denied items in a device": Bad(
        "recommend models/pop --user u1 --deny /dev/zero", r"/dev/zero: cannot be read .*it is a pipe or a device"
    ),
    "empty allow file": Bad(
        "recommend models/pop --user u1 --allow a.txt", r"a\.txt: has no items in it", prepare=written("a.txt", "\n")
    ),
    "nothing is allowed": Bad(
        "recommend models/pop --user u1 --allow a.txt",
        r"no item is left to recommend",
        prepare=written("a.txt", "99\n"),
    ),
    "strict with an unknown item in a filter": Bad(
        "recommend models/pop --user u1 --deny d.txt --strict", r"unknown item '99'", prepare=written("d.txt", "99\n")
    ),
    "where without a value": Bad(
        "recommend models/pop --user u1 --where genre", r"--where genre: must look like COLUMN=VALUE"
    ),
    "where without a column": Bad(
        "recommend models/pop --user u1 --where =x", r"--where =x: must look like COLUMN=VALUE"
    ),
    "where without a word": Bad("recommend models/pop --user u1 --where", r"--where: needs COLUMN=VALUE"),
    "where without metadata": Bad(
        "recommend models/pop --user u1 --where a=x", r"no column 'a' to select by\. There are no columns"
    ),
    "explain with an empty name": Bad("explain models/pop --history 1,,2", r"there is no name between two commas"),
    "explain strictly": Bad("explain models/pop --user u99 --strict", r"unknown user 'u99'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(segue, here, monkeypatch, name):
    check(BAD[name], here, segue, monkeypatch)


@pytest.mark.parametrize(
    "history", ["AIRLINE LOUNGE,METAL SIGN", "2,AIRLINE LOUNGE,METAL SIGN,3", " AIRLINE LOUNGE,METAL SIGN"]
)
def test_a_name_with_commas_is_not_taken_apart(segue, signs, monkeypatch, history):
    message = (
        r"'AIRLINE LOUNGE,METAL SIGN' is one item with a comma in its name; give each item with --item, or a "
        r"JSON list: --history '\[\"AIRLINE LOUNGE,METAL SIGN\"\]'"
    )
    check(Bad(["recommend", "models/signs", "--history", history], message), signs, segue, monkeypatch)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("colour=Red", r"column 'colour' never has the value 'Red', did you mean 'red'\?"),
        ("color=red", r"no column 'color' to select by, did you mean 'colour'\?"),
    ],
)
def test_a_condition_that_no_item_satisfies(segue, signs, monkeypatch, condition, message):
    check(Bad(f"recommend models/signs --user u1 --where {condition}", message), signs, segue, monkeypatch)


def test_the_time_of_the_request_is_read_by_models_that_read_it(segue, here):
    train = "run hstu events.csv --no-baselines --set embedding_dim=4 epochs=2 window=5 time=request"
    assert segue(f"{train} --request-time known")[0] == 0
    lists = []
    for at in ("", "--at 1600000700", "--at 2020-09-13T12:38:20", "--at 2031-01-01"):
        assert segue(f"recommend models/hstu --user u3 {at} --json at.json")[0] == 0
        lists.append([one["score"] for one in json.loads((here / "at.json").read_text())["recommended"]])
    assert lists[1] == lists[2], "the same moment as a number and as a date"
    assert lists[1] != lists[3], "years later, other scores"
    for command, message in (
        ("recommend models/pop --user u3 --at 2031-01-01", "pop does not read when items are requested; leave it out"),
        ("recommend models/hstu --user u3 --at soon", "--at soon: not a date"),
        ("recommend models/hstu --all --at 2031-01-01 --out all.csv", "--at 2031-01-01: is for one user or history"),
    ):
        code, _, err = segue(command)
        assert code == 2
        assert message in " ".join(err.split())
