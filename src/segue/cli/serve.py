"""`segue serve`: answer over HTTP, and the API keys of those who may ask."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from segue.cli.api_keys import KeyOptions, manage_keys
from segue.cli.garbage_collection import paused_garbage_collection
from segue.cli.saved_models import ModelClasses
from segue.errors import ConfigError, require
from segue.reporting.console import say

DEFAULT_STORE = "sqlite:///segue-events.db"
LIMITS_GROUP = Group.create_ordered("Limits")


@Parameter(name="*", group=LIMITS_GROUP)
@dataclass(frozen=True, kw_only=True)
class LimitOptions:
    """Who may ask a service, and how much.

    Attributes:
        require_keys: Ask for API keys on this machine's own address, too. A service behind a proxy needs this.
        rate_limit: Requests a second of each key; 0 for no limit. By default 1,000, and no limit on this machine's own
            address.
        max_connections: Connections at the same time; more are refused.
        keep_outcomes: Days for which the ranks of what users did next are kept, from which live quality is computed.
    """

    require_keys: Annotated[bool, Parameter(negative=())] = False
    rate_limit: float | None = None
    max_connections: int = 512
    keep_outcomes: float = 90

    def check(self) -> None:
        """Refuse impossible values."""
        rate = self.rate_limit
        require(rate is None or 0 <= rate < inf, f"--rate-limit {rate}: must be at least 0 and finite")
        days = self.keep_outcomes
        require(0 < days <= 36_500, f"--keep-outcomes {days:g}: must be above 0 and at most 36,500 days")
        require(self.max_connections >= 1, f"--max-connections {self.max_connections}: must be at least 1")


@Parameter(name="*")
@dataclass(frozen=True)
class EventOptions:
    """What a service does with events.

    Attributes:
        update: Let pop, learnt-counts and hybrid learn each event at once, as the protocol prequential does. Other
            models stay as they were trained.
        import_events: Copy the histories of the model into the store, once. By default, if the store has most of them
            already, or no other events. The store remembers a refusal.
    """

    update: bool = True
    import_events: Annotated[bool | None, Parameter(name="--import-events", negative="--no-import-events")] = None


EVENT_DEFAULTS = EventOptions()
LIMIT_DEFAULTS = LimitOptions()
KEY_DEFAULTS = KeyOptions()


def serve(
    models: Path | None = None,
    *,
    store: str = DEFAULT_STORE,
    active: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    search: Literal["exact", "approximate"] = "exact",
    events: EventOptions = EVENT_DEFAULTS,
    model_class: ModelClasses = (),
    limits: LimitOptions = LIMIT_DEFAULTS,
    keys: KeyOptions = KEY_DEFAULTS,
) -> None:
    """Answer over HTTP: events in, recommendations out.

    Events are kept in a store. A new store gets the histories that the model was saved with. The address of the page
    and of the description of all routes is printed.

    A service that other machines can reach asks for API keys. They belong to the store; `--new-key`, `--keys` and
    `--revoke` make, list and delete them, and a service that runs knows of it within two seconds.

    Args:
        models: Folder of a saved model, or a folder of several.
        store: Where events are kept: sqlite:///FILE, or postgresql://USER:PASSWORD@HOST/DATABASE, which several
            services may share.
        active: Name of the model that answers, if there are several. By default the one that was activated last.
        host: Address to listen on. Any other than this machine's own needs API keys.
        port: Port to listen on; 0 for a free one.
        search: How the best items are found. exact: all items are scored. approximate: an index of items is asked if
            the model scores with a dot product and that is faster; it finds at least 98% of the best items. This is
            for catalogues of hundreds of thousands of items, and needs the extra ann.
    """
    with paused_garbage_collection(), ExitStack() as unless_started:
        _check_extra()
        if keys.actions():
            require(keys.actions() == 1 and models is None, "give one of --new-key, --keys and --revoke, and no models")
            manage_keys(store, keys)
            return
        if models is None:
            raise ConfigError("give the folder of a saved model; `segue run MODEL DATA -o models/MODEL` makes one")
        require(not keys.label, "--label: goes with --new-key")
        limits.check()
        from segue.models.registry import find
        from segue.service.models.loaded_model import Loading
        from segue.service.run_server import limits_of, listen, run_server
        from segue.service.start import start_service

        classes = tuple(find(reference) for reference in model_class)
        listener = listen(host, port)
        unless_started.callback(listener.close)
        service = start_service(
            models,
            store,
            active=active,
            import_events=events.import_events,
            keep_days=limits.keep_outcomes,
            loading=Loading(classes, approximate=search == "approximate", update=events.update),
            say=say,
        )
        unless_started.callback(service.store.close)
        found = limits_of(
            host,
            service.keys,
            require_keys=limits.require_keys,
            rate=limits.rate_limit,
            connections=limits.max_connections,
        )
        unless_started.pop_all()  # it is started, and closes them itself
    run_server(service, listener, found, say=say)


def _check_extra() -> None:
    try:
        import segue.service.run_server  # noqa: F401
    except ImportError as error:
        raise ConfigError(f'the service needs the extra serve: pip install "segue[serve]" ({error})') from error
