"""`segue store`: what is done with the store of a service as a whole."""

from __future__ import annotations

from contextlib import closing

from cyclopts import App, Parameter

from segue.cli.help import HelpFormatter
from segue.cli.numbers import convert
from segue.errors import ConfigError
from segue.reporting.console import progress, say

store = App(
    name="store",
    help="Copy the store of a service: its events, items, rules, keys and all else.",
    usage="Usage: segue store copy SOURCE TARGET",
    help_epilogue="""Examples:
  segue store copy sqlite:///segue-events.db sqlite:///backup.db
  segue store copy sqlite:///segue-events.db postgresql://segue@db/shop""",
    help_format="plaintext",
    help_formatter=HelpFormatter(),
    default_parameter=Parameter(converter=convert),
)


@store.command
def copy(source: str, target: str, /) -> None:
    """Copy a store into an empty one, of the same kind or of the other.

    A service may use the source meanwhile; what it stores after the begin of the copy is not copied. An interrupted
    copy leaves the target empty; begin it again.

    Args:
        source: Address of the store that is read.
        target: Address of the store that is written. An SQLite file is created.
    """
    try:
        from segue.event_store.store import open_store
        from segue.event_store.store_copy import copy_store
    except ImportError as error:
        raise ConfigError(f'stores need the extra serve: pip install "segue[serve]" ({error})') from error
    with closing(open_store(source, create=False)) as read, closing(open_store(target)) as written:
        with progress("copy", len(read.events), unit="events") as bar:
            copied = copy_store(read, written, bar.advance)
        counts = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in copied.items() if count)
        say(f"{read.name} was copied to {written.name}: {counts or 'it is empty'}")
