"""Rules on the command line: what they cost, and that they are in the store."""

from __future__ import annotations

import json
import re
from contextlib import closing

import pytest

from segue.event_store.event import Event
from segue.event_store.item_table import Item
from segue.event_store.store import open_store
from segue.service.users.history_import import import_histories
from segue.serving.saved_model import load

from .logs import done

STORE = "sqlite:///segue-events.db"
RULES = {
    "no-odd": {"kind": "exclude", "where": {"kind": ["odd"]}, "description": "only even ones"},
    "few": {"kind": "cap", "column": "kind", "at_most": 2},
}


@pytest.fixture
def store(here):
    """A store with the events of a model, and items that are odd or even."""
    (here / "rules.json").write_text(json.dumps(RULES))
    with closing(open_store(STORE)) as opened:
        import_histories(opened, load("models/hgn"))
        opened.items.put([Item(str(n), columns={"kind": "odd" if n % 2 else "even"}) for n in range(8)])
        yield opened


def test_rules_are_put_listed_and_deleted(segue, store, here):
    assert "There are no rules." in done(segue("rules list"))
    done(segue("rules put rules.json"))
    shown = done(segue("rules list --json listed.json"))
    assert '{"where": {"kind": ["odd"]}}' in shown
    assert json.loads((here / "listed.json").read_text()) == store.rules.all() == RULES
    done(segue("rules delete few"))
    assert list(store.rules.all()) == ["no-odd"]
    code, _, err = segue("rules delete few")
    assert (code, "no such rule; the rules are no-odd" in err) == (2, True)


def test_what_rules_cost_is_said_with_its_interval(segue, store, here):
    out = done(segue("rules try rules.json models/hgn -k 3 --json cost.json"))
    cost = json.loads((here / "cost.json").read_text())
    assert (cost["users"], cost["k"], cost["changed"]) == (12, 3, 12)
    assert cost["recall"]["low"] <= cost["recall"]["with_rules"] - cost["recall"]["without"] <= cost["recall"]["high"]
    assert f"{cost['recall']['without']:.4f}" in out
    assert "12 of the users get another list" in out
    assert store.rules.all() == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "rules.json: must be an object with a rule for each name"),
        ("{}", "rules.json: has no rules"),
        ("{", "rules.json.*JSON"),
        ('{"a/b": {"kind": "cap", "column": "kind", "at_most": 2}}', "a/b"),
        ('{"r": {"kind": "hide"}}', "rules.json.*include"),
        ('{"r": {"kind": "exclude"}}', "give where, items or both"),
        ('{"r": {"kind": "exclude", "where": {"kid": ["odd"]}}}', "rule 'r': no column 'kid'.*did you mean 'kind'"),
        ('{"r": {"kind": "exclude", "where": {"kind": ["od"]}}}', "never has the value 'od', did you mean 'odd'"),
        ('{"r": {"kind": "boost", "items": ["99"], "by": 1}}', "rule 'r': unknown item '99'"),
    ],
)
def test_bad_rules_are_one_error(segue, store, here, content, message):
    (here / "rules.json").write_text(content)
    for command in ("try rules.json models/hgn", "put rules.json models/hgn", "put rules.json"):
        code, out, err = segue(f"rules {command}")
        assert (code, out) == (2, "")
        assert re.search(message, " ".join(err.split())), err
    assert store.rules.all() == {}


def test_rules_on_what_only_a_model_or_an_event_names_can_be_put(segue, store, here):
    store.events.append([Event("u1", "seen", 5)])
    item = load("models/hgn").log.items.tokens[-1]
    for name, command in (("seen", "put rules.json"), (str(item), "put rules.json models/hgn")):
        (here / "rules.json").write_text(json.dumps({"r": {"kind": "exclude", "items": [name]}}))
        done(segue(f"rules {command}"))
    (here / "rules.json").write_text(json.dumps({"r": {"kind": "exclude", "where": {"year": ["1"]}}}))
    code, _, err = segue("rules put rules.json")
    assert (code, "if the log of a model has it, give that" in " ".join(err.split())) == (2, True)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("rules list --store sqlite:///none.db", "there is no such file"),
        ("rules list --store events.csv", "not the address of a store"),
        ("rules put none.json", "none.json"),
        ("rules try rules.json models/hgn -k 0", "lists need at least 1 item"),
        ("rules try rules.json models/hgn --users 1", "at least 2 users"),
    ],
)
def test_bad_commands_are_one_error(segue, store, command, message):
    code, out, err = segue(command)
    assert (code, out) == (2, "")
    assert message in " ".join(err.split())
