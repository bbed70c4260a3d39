"""`segue serve`: answer over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from segue.cli.saved_models import ModelClasses
from segue.errors import ConfigError
from segue.reporting.console import say

DEFAULT_STORE = "sqlite:///segue-events.db"


def serve(
    models: Path,
    *,
    store: str = DEFAULT_STORE,
    active: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    import_events: Annotated[bool, Parameter(name="--import-events", negative="--no-import-events")] = True,
    model_class: ModelClasses = (),
) -> None:
    """Answer over HTTP: events in, recommendations out.

    Events are kept in a store. A new store gets the histories that the model was saved with. The address of the page
    and of the description of all routes is printed.

    Args:
        models: Folder of a saved model, or a folder of several.
        store: Where events are kept: sqlite:///FILE, or postgresql://USER:PASSWORD@HOST/DATABASE, which several
            services may share.
        active: Name of the model that answers, if there are several. By default the one that was activated last.
        host: Address to listen on. Any other than this machine's own needs API keys.
        port: Port to listen on; 0 for a free one.
        import_events: Copy the histories of the model into the store, once.
    """
    try:
        from segue.service.run_server import run_server
        from segue.service.start import start_service
    except ImportError as error:
        raise ConfigError(f'the service needs the extra serve: pip install "segue[serve]" ({error})') from error
    from segue.models.registry import find

    classes = [find(reference) for reference in model_class]
    service = start_service(models, store, active=active, import_events=import_events, classes=classes, say=say)
    run_server(service, host, port, say=say)
