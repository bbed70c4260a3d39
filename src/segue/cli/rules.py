"""`segue rules`: the rules of a shop: list, put, delete them, and try what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from segue.cli.check_outputs import check_outputs, source_files
from segue.cli.help import HelpFormatter
from segue.cli.numbers import convert
from segue.cli.output import JsonFile, show, write_json_output
from segue.cli.saved_models import ModelClasses
from segue.cli.serve import DEFAULT_STORE
from segue.errors import ConfigError
from segue.event_store.clock import now
from segue.reporting.console import say

if TYPE_CHECKING:
    from segue.event_store.store import Store
    from segue.reporting.tables import FittedTable
    from segue.service.items.rule_trial import RuleTrial
    from segue.service.items.rules import Rules
    from segue.service.items.selection import Selector
    from segue.service.models.loaded_model import LoadedModel

rules = App(
    name="rules",
    help="Show, change and try the rules of a shop: what is recommended always, never, rather, or seldom.",
    usage="Usage: segue rules (list | put | delete | try) [OPTIONS]",
    help_epilogue="""Examples:
  segue rules try rules.json models/hgn
  segue rules put rules.json models/hgn --store postgresql://segue@db/shop
  segue rules list
  segue rules delete no-tobacco

A file of rules is a JSON object with a rule for each name:
  {"no-tobacco": {"kind": "exclude", "where": {"category": ["tobacco"]}},
   "only-uk": {"kind": "include", "where": {"shop": ["uk"]}},
   "own-brand": {"kind": "boost", "where": {"brand": ["own"]}, "by": 0.5},
   "variety": {"kind": "cap", "column": "category", "at_most": 3}}""",
    help_format="plaintext",
    help_formatter=HelpFormatter(),
    default_parameter=Parameter(converter=convert),
)


@rules.command(name="list")
def list_rules(*, store: str = DEFAULT_STORE, json: JsonFile = None) -> None:
    """Show the active rules.

    Args:
        store: The store of the service.
    """
    check_outputs({"--json": json})
    with _opened(store) as opened:
        content = opened.rules.all()
    show(*(_rules_tables(content)))
    write_json_output(json, content)


@rules.command
def put(
    rules: Path,
    model: Path | None = None,
    *,
    store: str = DEFAULT_STORE,
    model_class: ModelClasses = (),
) -> None:
    """Add the rules of a file, or replace those of the same names. Services follow within seconds.

    A rule on a column, a value or an item that nothing has is refused. Try rules first: `segue rules try`.

    Args:
        rules: JSON file of rules.
        model: Folder of the saved model that answers. Without it, only the items and events of the store are known.
        store: The store of the service.
    """
    new, names = _read(rules)
    from segue.service.items.rules import check_number, plain_rule

    loaded = [] if model is None else [_loaded(model, model_class)]
    with _opened(store) as opened:
        try:
            _selector(opened, loaded, new)
        except ConfigError as error:
            hint = "" if loaded else f"; if the log of a model has it, give that: segue rules put {rules} MODEL"
            raise ConfigError(f"{error}{hint}") from error
        check_number({**dict.fromkeys(opened.rules.all()), **new})
        opened.rules.put_all({name: plain_rule(rule) for name, rule in new.items()})
    say(f"{store}: {', '.join(names)}: active now")


@rules.command
def delete(name: str, *, store: str = DEFAULT_STORE) -> None:
    """Delete a rule. Services follow within seconds.

    Args:
        name: Name of the rule.
        store: The store of the service.
    """
    with _opened(store) as opened:
        if not opened.rules.delete(name):
            held = ", ".join(opened.rules.all())
            raise ConfigError(
                f"{name}: there is no such rule; " + (f"the rules are {held}" if held else "there are none")
            )
    say(f"{store}: {name} is deleted")


@rules.command(name="try")
def try_rules(
    rules: Path,
    model: Path,
    *,
    store: str = DEFAULT_STORE,
    k: Annotated[int, Parameter(name="-k")] = 10,
    users: int = 1_000,
    model_class: ModelClasses = (),
    json: JsonFile = None,
) -> None:
    """Say what rules cost before they are active: recall and MRR of the newest event of the newest users.

    For each of these users the model recommends from the history before the newest event, with and without the rules.
    The active rules of the store are not among them, unless they are in the file, too.

    Args:
        rules: JSON file of rules.
        model: Folder of a saved model.
        store: The store with the events and the items.
        k: Length of the lists.
        users: Number of users: those with the newest events.
    """
    if k < 1 or users < 2:
        raise ConfigError(f"-k {k}, --users {users}: lists need at least 1 item, and an interval at least 2 users")
    check_outputs({"--json": json}, inputs=[rules, model, *source_files(*model_class)])
    wanted, _ = _read(rules)
    from segue.service.items.rule_trial import try_rules as try_out

    loaded = _loaded(model, model_class)
    with _opened(store) as opened:
        selection = _selector(opened, [loaded], wanted).make({}, wanted, available=False)
        trial = try_out(opened.events, loaded, selection, k=k, users=users)
    show(_trial_table(trial))
    write_json_output(json, {"store": store, "rules": str(rules), **trial.model_dump()})


def _loaded(model: Path, classes: ModelClasses) -> LoadedModel:
    from segue.models.registry import find
    from segue.service.models.loaded_model import LoadedModel, Loading

    return LoadedModel.load(model, Loading(tuple(find(reference) for reference in classes), update=False))


def _selector(store: Store, models: Sequence[LoadedModel], rules: Rules) -> Selector:
    """What finds the items that rules choose, after the check that each rule chooses some.

    Raises:
        ConfigError: a rule names a column, a value or an item that nothing has.
    """
    from segue.service.items.shop import Shop

    shop = Shop(store, models)
    if any(rule.kind != "cap" and rule.items for rule in rules.values()):  # some items may have events only
        shop.popularity.apply(shop.popularity.read_changes(now()), now())
    shop.selector.check(rules)
    return shop.selector


def _read(path: Path) -> tuple[Rules, list[str]]:
    """The rules of a file, and their names."""
    from segue.json_files import plain_json, read_text

    repair = "give a JSON object with a rule for each name"
    content = plain_json(read_text(path, repair=repair), where=str(path), repair=repair)
    try:
        from segue.service.items.rules import read_rules
    except ImportError as error:
        raise _missing(error) from error
    found = read_rules(content, str(path))
    if not found:
        raise ConfigError(f"{path}: has no rules; {repair}")
    return found, list(found)


@contextmanager
def _opened(url: str) -> Iterator[Store]:
    """An open store that exists."""
    try:
        from segue.event_store.store import open_store
    except ImportError as error:
        raise _missing(error) from error
    store = open_store(url, create=False)
    try:
        yield store
    finally:
        store.close()


def _missing(error: ImportError) -> ConfigError:
    return ConfigError(f'rules need the extra serve: pip install "segue[serve]" ({error})')


def _rules_tables(content: dict[str, dict[str, Any]]) -> list[Any]:
    """The rules as a table."""
    import json

    from rich.text import Text

    from segue.reporting.tables import Column, FittedTable

    if not content:
        return [Text("There are no rules.")]
    rows = []
    for name, rule in content.items():
        rest = {key: value for key, value in rule.items() if key not in ("kind", "description")}
        rows.append([name, str(rule["kind"]), json.dumps(rest, ensure_ascii=False), str(rule.get("description", ""))])
    columns = [Column(name="rule"), Column(name="kind"), Column(name="what", wraps=True)]
    return [FittedTable([*columns, Column(name="description", wraps=True)], rows)]


def _trial_table(trial: RuleTrial) -> FittedTable:
    """Both metrics with and without rules."""
    from segue.reporting.tables import Column, FittedTable

    names = ("metric", "without rules", "with rules", "difference", "95% interval")
    rows = [
        [
            name,
            f"{cost.without:.4f}",
            f"{cost.with_rules:.4f}",
            f"{cost.difference:+.4f}",
            f"{cost.low:+.4f} to {cost.high:+.4f}",
        ]
        for name, cost in ((f"recall@{trial.k}", trial.recall), (f"mrr@{trial.k}", trial.mrr))
    ]
    return FittedTable(
        [Column(name=name, right=place > 0) for place, name in enumerate(names)],
        rows,
        title=f"{trial.model}, newest event of {trial.users:,} users",
        notes=[f"{trial.changed:,} of the users get another list."],
    )
