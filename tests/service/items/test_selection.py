"""Lists with conditions, rules and caps are those of a plain reference that looks at one item after the other."""

from __future__ import annotations

import asyncio
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segue.errors import ConfigError
from segue.event_store import clock
from segue.event_store.item_table import Item
from segue.service.items.rules import Boost, Cap, Include, Rules, read_rules
from segue.service.items.selection import Where, parse_where
from segue.service.users.history import History

KINDS, COLOURS = ("x", "y", "z"), ("red", "blue")
WHERE = st.dictionaries(
    st.sampled_from(["kind", "colour"]), st.lists(st.sampled_from(KINDS + COLOURS), min_size=1, max_size=2), max_size=2
)
ITEMS = st.lists(st.sampled_from([f"i{n}" for n in range(30)]), max_size=6)
MEANT = st.fixed_dictionaries({"where": WHERE, "items": ITEMS}).filter(lambda one: one["where"] or one["items"])
RULE = st.one_of(
    MEANT.map(lambda one: {"kind": "exclude", **one}),
    MEANT.map(lambda one: {"kind": "include", **one}),
    st.tuples(MEANT, st.sampled_from([-1.5, 0.5, 3.0])).map(lambda one: {"kind": "boost", "by": one[1], **one[0]}),
    st.tuples(st.sampled_from(["kind", "colour"]), st.integers(0, 3)).map(
        lambda one: {"kind": "cap", "column": one[0], "at_most": one[1]}
    ),
)
RULES = st.lists(RULE, max_size=4).map(lambda some: {f"r{n}": rule for n, rule in enumerate(some)})


@pytest.fixture
def columns(service) -> dict[str, dict[str, list[str]]]:
    """Items with a kind, with several or none, and a colour; the fifth cannot be had."""
    items = [
        Item(
            f"i{n}",
            columns={"kind": list(KINDS[: n % 4]), **({"colour": COLOURS[n % 2]} if n % 5 else {})},
            available=n != 5,
        )
        for n in range(30)
    ]
    asyncio.run(service.shop.write(lambda table: table.put(items)))
    return {
        item.item: {
            name: list(value) if isinstance(value, list) else [value] for name, value in item.columns.items() if value
        }
        for item in items
    }


def fits(where: Where, columns: dict[str, list[str]]) -> bool:
    return all(set(wanted) & set(columns.get(name, [])) for name, wanted in where.items())


def meant(rule, name: str, columns: dict[str, list[str]]) -> bool:
    return name in rule.items or (bool(rule.where) and fits(rule.where, columns))


def reference(scores: dict[str, float], columns: dict, where: Where, rules: Rules, k: int) -> list[str]:
    """One item after the other: what may be recommended, boosted, in order, within the caps."""
    items = [rule for rule in rules.values() if not isinstance(rule, Cap)]
    items = [rule for rule in items if any(meant(rule, *one) for one in columns.items())]  # others do nothing
    allowed = {}
    for name, score in scores.items():
        hidden = name == "i5" or not fits(where, columns[name])
        boost = 0.0
        for rule in items:
            if isinstance(rule, Boost):
                boost += rule.by * meant(rule, name, columns[name])
            else:
                hidden |= meant(rule, name, columns[name]) != isinstance(rule, Include)
        if not hidden:
            allowed[name] = (score, boost)
    values = np.array([score for score, _ in allowed.values()], np.float32)
    spread = values.astype(np.float64).std() if len(values) > 1 else 0.0
    moved = {name: np.float32(score) + np.float32(boost * spread) for name, (score, boost) in allowed.items()}
    chosen: list[str] = []
    counts: Counter[tuple[str, str]] = Counter()
    for name in sorted(moved, key=lambda one: -moved[one]):
        kinds = [
            (rule_name, value)
            for rule_name, rule in rules.items()
            if isinstance(rule, Cap)
            for value in columns[name].get(rule.column, [])
        ]
        if len(chosen) < k and all(counts[kind] < rules[kind[0]].at_most for kind in kinds):
            chosen.append(name)
            counts.update(kinds)
    return chosen


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(WHERE, RULES, st.integers(1, 12))
def test_lists_are_those_of_a_plain_reference(service, columns, where, content, k):
    shop, loaded = service.shop, service.deployment.models["hgn"]
    rules = read_rules(content, "rules")
    history = ["i1", "i2", "i3"]
    past = History(items=history)
    with torch.inference_mode():
        scores = loaded._finder._buffer.score_batch(loaded._finder._batch([loaded.query(None, past)]))[0].tolist()
    scored = {name: scores[loaded.token_ids[name]] for name in loaded.tokens[1:] if name not in history}
    try:
        selection = shop.selector.make(where, rules, available=True)
    except ConfigError:  # a colour that is no kind
        assert any(set(values) - set(KINDS if name == "kind" else COLOURS) for name, values in where.items())
        return
    found = asyncio.run(
        shop.ask(
            shop.catalogue.numbers_of(loaded),
            selection,
            k,
            lambda width: loaded.ask(None, past, k=width, rules=selection.rules_of(loaded)),
        )
    )
    expected = reference(scored, columns, where, rules, k)
    assert [loaded.tokens[index] for index in found.ids] == expected
    counts = np.zeros(len(shop.catalogue.names))
    counts[shop.catalogue.numbers_of(loaded)[1:]] = [100 - n for n in range(30)]
    popular = selection.best(counts, k, [shop.catalogue.find(name) for name in history])
    names = loaded.tokens[1:]
    in_order = {name: 100.0 - n for n, name in enumerate(names) if name not in history}
    if not any(isinstance(rule, Boost) for rule in rules.values()):
        assert [shop.catalogue.names[n] for n in popular] == reference(in_order, columns, where, rules, k)


@pytest.mark.parametrize("number", [1, 1_023, 1_024, 1_100])
def test_an_unavailable_item_of_a_large_catalogue_is_hidden_and_no_other(service, number):
    catalogue, loaded = service.shop.catalogue, service.deployment.models["hgn"]
    for one in range(1_100):
        catalogue.number(f"i{one}")
    catalogue.apply([Item(catalogue.names[number], available=False, updated=1)], 0)
    hidden = service.shop.selector.get().hidden
    assert np.flatnonzero(hidden).tolist() == [number]
    assert len(hidden) == len(catalogue.names)
    popular = service.shop.fallback.find(loaded, service.shop.selector.get(), 1_000, 1)
    assert number not in [pick.number for pick in popular]
    catalogue.number("one more")
    assert not service.shop.selector.get().hidden[-1]


def test_boosts_and_masks_of_a_selection_fit_a_catalogue_that_has_grown(service):
    shop = service.shop
    shop.catalogue.apply([Item("i3", available=False, updated=1)], 0)
    selection = shop.selector.make(
        {}, read_rules({"b": {"kind": "boost", "items": ["i4"], "by": 3}}, "rules"), available=True
    )
    for one in range(1_100):
        shop.catalogue.number(f"i{one}")
    scores = np.arange(len(shop.catalogue.names), 0, -1, dtype=np.float64)
    scores[0] = 0
    best = [shop.catalogue.names[number] for number in selection.best(scores, 2_000)]
    assert "i3" not in best
    assert best[0] == "i4"
    assert len(best) == len(shop.catalogue) - 1


def test_an_expired_item_is_hidden_from_then_on(service, monkeypatch):

    shop, loaded = service.shop, service.deployment.models["hgn"]
    time = [1_000.0]
    monkeypatch.setattr(clock.time, "time", lambda: time[0])
    shop.catalogue.apply([Item("i3", expires=2_000 * 1_000_000, updated=1)], 0)
    assert shop.selector.get().hidden is None
    time[0] = 2_000.0
    hidden = shop.selector.get().rules_of(loaded).hidden
    assert [loaded.tokens[index] for index in hidden.nonzero()[:, 0].tolist()] == ["i3"]
    assert shop.selector.get(available=False).hidden is None


def test_masks_in_use_stay_when_others_are_dropped(service, monkeypatch):
    monkeypatch.setattr("segue.service.items.selection.MAX_BYTES", 0)  # four selections are kept
    selector = service.shop.selector
    service.shop.catalogue.apply([Item("i3", columns={"number": list(range(9))}, updated=1)], 0)
    usual = selector.get()
    for number in range(9):
        selector.get([f"number:{number}"])
        assert selector.get() is usual


def test_masks_of_models_and_boosts_count_for_the_bound(service, monkeypatch):
    shop, models = service.shop, list(service.deployment.models.values())
    asyncio.run(shop.write(lambda table: table.put([Item("i3", columns={"number": list(range(40))})])))
    service.store.rules.put("up", {"kind": "boost", "items": ["i4"], "by": 1.0})
    shop.rules.apply(shop.rules.read_changes())

    def kept(bound: int) -> int:
        shop.selector._known.clear()
        monkeypatch.setattr("segue.service.items.selection.MAX_BYTES", bound)
        for number in range(40):
            selection = shop.selector.get([f"number:{number}"])
            for loaded in models:
                selection.rules_of(loaded)
        return len(shop.selector._known)

    assert kept(10**6) == 40
    size = next(iter(shop.selector._known.values())).num_bytes
    assert size == 9 * 31 * (1 + len(models))
    assert 8 <= kept(8 * size) <= 10  # all are counted anew when an eighth of them is new


def test_masks_are_kept_until_something_changes(service):
    shop = service.shop
    first = shop.selector.get()
    assert shop.selector.get() is first
    shop.catalogue.apply([Item("i3", title="Three", updated=1)], 0)
    assert shop.selector.get() is not first


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (["kind"], "give a column and a value"),
        ([":x"], "give a column and a value"),
        (["knd:x"], "no column 'knd'.*did you mean 'kind'"),
        (["kind:red"], "never has the value 'red'.*it has 'x', 'y', 'z'"),
    ],
)
def test_conditions_that_mean_nothing_are_refused(service, columns, where, message):
    with pytest.raises(ConfigError, match=message):
        service.shop.selector.get(where)


def test_values_of_one_column_are_alternatives():
    assert parse_where(["a:1", "b:x:y", "a:2"]) == {"a": ["1", "2"], "b": ["x:y"]}
