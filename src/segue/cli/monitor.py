"""`segue monitor`: a running service in the terminal: which models answer, whether they still work, how fast."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from cyclopts import Parameter

from segue.cli.check_outputs import check_outputs
from segue.cli.output import JsonFile, grid, show, write_json_output
from segue.errors import ConfigError, DataError
from segue.reporting.console import printable, stdout

if TYPE_CHECKING:
    from rich.text import Text

    from segue.cli.service_client import Traffic
    from segue.reporting.tables import FittedTable

DEFAULT_ADDRESS = "http://127.0.0.1:8000"


def monitor(
    address: str = DEFAULT_ADDRESS,
    *,
    k: Annotated[int, Parameter(name=["--k", "-k"])] = 10,
    hours: float = 24.0,
    every: float = 5.0,
    once: Annotated[bool, Parameter(negative=())] = False,
    json: JsonFile = None,
) -> None:
    """Watch a running service: live recall and MRR of each model and arm, beside the figures of its test.

    The table is drawn again every few seconds until Ctrl-C. A service with API keys needs one that may read, in the
    environment variable SEGUE_API_KEY.

    Args:
        address: Of the service.
        k: Cut-off of recall and MRR.
        hours: The figures are over the lists of so many last hours.
        every: Seconds between two tables.
        once: Show one table and end.
    """
    try:
        import prometheus_client  # noqa: F401
    except ImportError as error:
        raise ConfigError(f'the monitor needs the extra serve: pip install "segue[serve]" ({error})') from error
    from segue.cli.service_client import look

    check_outputs({"--json": json})
    if urlsplit(address).scheme not in ("http", "https"):
        raise ConfigError(f"{address}: not the address of a service; give one such as {DEFAULT_ADDRESS}")
    if not (1 <= k <= 100 and 0 < hours < float("inf") and 0 < every < float("inf")):
        raise ConfigError("--k must be from 1 to 100, and --hours and --every above 0")
    address = address.rstrip("/")
    report, traffic = look(address, k, hours)
    if once or json is not None:
        show(_table(address, report, traffic))
        write_json_output(json, report)
        return
    _watch(address, k, hours, every, report, traffic)


def _watch(address: str, k: int, hours: float, every: float, report: Mapping[str, Any], traffic: Traffic) -> None:
    from rich.live import Live
    from rich.text import Text

    from segue.cli.service_client import look

    with Live(_table(address, report, traffic), console=stdout(), auto_refresh=False) as live:
        while True:
            time.sleep(every)
            try:
                report, now = look(address, k, hours)
            except DataError as error:
                live.update(Text(printable(f"{error}; trying again")), refresh=True)
                continue
            live.update(_table(address, report, now.since(traffic), now.time - traffic.time), refresh=True)
            traffic = now


def _table(
    address: str, report: Mapping[str, Any], traffic: Traffic, seconds: float | None = None
) -> FittedTable | Text:
    from rich.text import Text

    k = report["k"]
    rows = [
        {
            "model": one["model"] if one["active"] else f"{one['model']} (was {one['fingerprint'][:8]})",
            "arm": one["arm"],
            "lists": f"{one['lists']:,}",
            "users": f"{one['users']:,}",
            f"recall@{k}": _figure(one["recall"]),
            "in its test": _figure(one["offline_recall"]),
            f"mrr@{k}": _figure(one["mrr"]),
            "": "drop" if one["drop"] else "",
        }
        for one in report["arms"]
    ]
    title = f"{address}, lists of {report['hours']:g} hours; {_speed(traffic, seconds)}"
    if not rows:
        return Text(f"{title}\nno list was followed by an event yet")
    return grid(rows, title)


def _speed(traffic: Traffic, seconds: float | None) -> str:
    """Requests and their latency in words."""
    half, slow = traffic.quantile(0.5), traffic.quantile(0.99)
    if half is None or slow is None:
        return "no requests"
    rate = f"{traffic.requests:,.0f} requests" if seconds is None else f"{traffic.requests / seconds:,.1f} requests/s"
    share = f", {traffic.fallback / traffic.answers:.1%} fallback" if traffic.answers else ""
    return f"{rate}, half within {1000 * half:g} ms, 99% within {1000 * slow:g} ms{share}"


def _figure(figure: Mapping[str, Any] | None) -> str:
    if figure is None or figure["mean"] is None:
        return ""
    ends = "" if figure["low"] is None else f" ({figure['low']:.3f} to {figure['high']:.3f})"
    return f"{figure['mean']:.3f}{ends}"
