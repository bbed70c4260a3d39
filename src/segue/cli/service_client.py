"""What a running service says of itself: its live quality, and its counters, `Traffic`."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

from segue.errors import DataError

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


def look(address: str, k: int, hours: float) -> tuple[dict[str, Any], Traffic]:
    """The quality and the counters of a service now; its API key is read from the environment variable `KEY`.

    Args:
        address: of the service.
        k: cut-off of the figures.
        hours: the figures are over the lists of so many last hours.

    Raises:
        DataError: the service does not answer, refuses the key, or is no service of segue.
    """
    quality = _get(f"{address}/v1/quality?{urlencode({'k': k, 'hours': hours})}")
    try:
        report = json.loads(quality)
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
        raise DataError(f"{url}: answers {error.code} {error.reason}{hint or _detail(error)}") from error
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise DataError(f"{url}: does not answer ({reason}); `segue serve MODELS` starts a service") from error


def _detail(error: HTTPError) -> str:
    """The sentence of a service's problem details, if there is one."""
    try:
        return f": {json.loads(error.read())['detail']}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


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
