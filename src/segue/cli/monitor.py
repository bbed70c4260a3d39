"""`segue monitor`: a running service in the terminal: which models answer, whether they still work, how fast."""

from __future__ import annotations

import json as json_text
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from cyclopts import Parameter

from segue.cli.check_outputs import check_outputs
from segue.cli.output import JsonFile, grid, show, write_json_output
from segue.errors import ConfigError, DataError
from segue.reporting.console import printable, stdout

if TYPE_CHECKING:
    from rich.text import Text

    from segue.reporting.tables import FittedTable

DEFAULT_ADDRESS = "http://127.0.0.1:8000"
KEY = "SEGUE_API_KEY"  # the environment variable with an API key; an argument could be read by other users
TIMEOUT = 10.0


@dataclass(frozen=True)
class Traffic:
    """Counters of a service at one moment.

    Attributes:
        time: of the moment, in seconds.
        requests: number of requests since its start.
        buckets: how many of them took at most so many seconds, ascending.
        answers: number of recommendations.
        fallback: how many of them were popular items, because the model could not answer.
    """

    time: float
    requests: float
    buckets: dict[float, float]
    answers: float
    fallback: float

    def since(self, before: Traffic | None) -> Traffic:
        """The counters of the time since another moment; all since the start of the service without one."""
        if before is None or before.requests > self.requests:  # it was started again
            return self
        return Traffic(
            self.time - before.time,
            self.requests - before.requests,
            {limit: count - before.buckets.get(limit, 0.0) for limit, count in self.buckets.items()},
            self.answers - before.answers,
            self.fallback - before.fallback,
        )

    def quantile(self, share: float) -> float | None:
        """The upper end, in seconds, of the bucket that holds a quantile; None without requests."""
        if not self.requests:
            return None
        return next(limit for limit, count in sorted(self.buckets.items()) if count >= share * self.requests)


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
    check_outputs({"--json": json})
    if urlsplit(address).scheme not in ("http", "https"):
        raise ConfigError(f"{address}: not the address of a service; give one such as {DEFAULT_ADDRESS}")
    if not (1 <= k <= 100 and 0 < hours < float("inf") and 0 < every < float("inf")):
        raise ConfigError("--k must be from 1 to 100, and --hours and --every above 0")
    address = address.rstrip("/")
    report, traffic = _look(address, k, hours)
    if once or json is not None:
        show(_table(address, report, traffic))
        write_json_output(json, report)
        return
    _watch(address, k, hours, every, report, traffic)


def _watch(address: str, k: int, hours: float, every: float, report: Mapping[str, Any], traffic: Traffic) -> None:
    from rich.live import Live
    from rich.text import Text

    with Live(_table(address, report, traffic), console=stdout(), auto_refresh=False) as live:
        while True:
            time.sleep(every)
            try:
                report, now = _look(address, k, hours)
            except DataError as error:
                live.update(Text(printable(f"{error}; trying again")), refresh=True)
                continue
            live.update(_table(address, report, now.since(traffic), now.time - traffic.time), refresh=True)
            traffic = now


def _look(address: str, k: int, hours: float) -> tuple[dict[str, Any], Traffic]:
    """The quality and the counters of a service now."""
    quality = _get(f"{address}/v1/quality?{urlencode({'k': k, 'hours': hours})}")
    try:
        report = json_text.loads(quality)
        is_report = isinstance(report["arms"], list)
    except (ValueError, KeyError, TypeError):
        is_report = False
    if not is_report:
        raise DataError(f"{address}: answers, and is no service of segue")
    return report, read_traffic(_get(f"{address}/metrics"))


class _NoRedirects(HTTPRedirectHandler):
    """Follows no redirect, which would hand the API key to another host."""

    def redirect_request(self, *args: Any) -> None:
        """No request in place of the one that was redirected."""


def _get(url: str) -> str:
    key = os.environ.get(KEY)
    request = Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})
    try:
        with build_opener(_NoRedirects).open(request, timeout=TIMEOUT) as answer:
            return str(answer.read().decode())
    except HTTPError as error:
        hint = f"; set {KEY} to a key that may read" if error.code in (401, 403) else ""
        if error.code in range(300, 400):
            hint = "; give the address that it redirects to, if you trust it with the key"
        raise DataError(f"{url}: answers {error.code} {error.reason}{hint}") from error
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise DataError(f"{url}: does not answer ({reason}); `segue serve MODELS` starts a service") from error


def read_traffic(text: str) -> Traffic:
    """The counters in a text for Prometheus."""
    from prometheus_client.parser import text_string_to_metric_families

    requests = answers = fallback = 0.0
    buckets: dict[float, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "segue_request_seconds_count":
                requests += sample.value
            elif sample.name == "segue_request_seconds_bucket":
                limit = float(sample.labels["le"])
                buckets[limit] = buckets.get(limit, 0.0) + sample.value
            elif sample.name == "segue_answers_total":
                answers += sample.value
                fallback += sample.value if sample.labels["fallback"] == "true" else 0.0
    return Traffic(time.monotonic(), requests, buckets, answers, fallback)


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
