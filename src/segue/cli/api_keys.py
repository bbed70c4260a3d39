"""The API keys of a service: `segue serve --new-key ROLE`, `--keys` and `--revoke HASH`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

from segue.cli.output import grid, show
from segue.errors import require
from segue.event_store.clock import to_datetime
from segue.reporting.console import printable, say

if TYPE_CHECKING:
    from segue.event_store.api_keys import ApiKey

DIGITS = 16  # of the hash of a key that are shown
KEYS_GROUP = Group.create_ordered("API keys")


@Parameter(name="*", group=KEYS_GROUP)
@dataclass(frozen=True, kw_only=True)
class KeyOptions:
    """What is done with the API keys of a store.

    Attributes:
        new_key: Make an API key, print it once, and end. read asks for recommendations, write also adds events and
            items, admin also changes models, rules and users.
        label: What the new key is for.
        keys: List the API keys of the store, and end.
        revoke: Delete the API key whose hash begins so, and end.
    """

    new_key: Literal["read", "write", "admin"] | None = None
    label: str = ""
    keys: Annotated[bool, Parameter(negative=())] = False
    revoke: str | None = None

    def actions(self) -> int:
        """How many things are to be done."""
        return sum((self.new_key is not None, self.keys, self.revoke is not None))


def manage_keys(store: str, options: KeyOptions) -> None:
    """Make a key, delete one, or list all.

    Raises:
        ConfigError: there is no such key.
        DataError: the store cannot be opened.
    """
    from segue.event_store.store import open_store

    with closing(open_store(store, create=options.new_key is not None)) as opened:
        if options.new_key is not None:
            text = f"{opened.name}: a new key with the role {options.new_key}. It is shown this once."
            say(f"{text} The store keeps its hash only.")
            show(opened.keys.new(options.new_key, options.label))
        elif options.revoke is not None:
            count = opened.keys.revoke(options.revoke)
            require(count > 0, f"{options.revoke}: {opened.name} has no key whose hash begins so; --keys lists them")
            say(f"{opened.name}: {count} key{'s' * (count != 1)} deleted; services refuse them within two seconds.")
        else:
            _show_keys(opened.keys.all(), opened.name)


def _show_keys(found: list[ApiKey], name: str) -> None:
    if not found:
        say(f"{name}: no keys; `segue serve --new-key read` makes one.")
        return
    rows = [
        {
            "hash": key.hash[:DIGITS],
            "role": key.role,
            "made": f"{to_datetime(key.created):%Y-%m-%d %H:%M} UTC",
            "label": printable(key.label),
        }
        for key in found
    ]
    show(grid(rows, f"API keys of {name}"))
