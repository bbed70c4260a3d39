"""`RequestChecks`: every request passes it before a route sees it.

    host, origin     from this machine, where no key is needed       403
    key, role        where keys are needed                           401, 403
    rate             requests a second of a key or an address        429
    route            what is not described is refused                404, 405
    query, path      no unknown, doubled or damaged parameter        422
    body             size, time, JSON that says one thing            408, 413, 415, 422

Answers get headers that keep browsers from doing anything with them but showing text. An unforeseen error is
logged with its place in the code and without its message, which may hold names of users.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from segue.event_store.api_keys import ApiKey
from segue.service.http.api_key_cache import ApiKeyCache
from segue.service.http.limits import Limits
from segue.service.http.problems import CLOSE, ProblemError, problem_response
from segue.service.http.rate_limit import TokenBuckets
from segue.service.http.route_table import RouteRule, RouteTable
from segue.service.http.strict_requests import check_content_type, check_json, check_path, check_query
from segue.service.log_text import log_text

PREFIX = "/v1/"
RULE = "segue.rule"  # the `RouteRule` of a request, in its scope
MAX_DIGITS = 18  # of a length that is compared
NO_STORE = (b"cache-control", b"no-store")
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]

logger = logging.getLogger("segue.service")


class RequestChecks:
    """An ASGI application around another one."""

    def __init__(
        self, app: ASGIApp, keys: ApiKeyCache, limits: Limits, describe: Callable[[], Mapping[str, Any]]
    ) -> None:
        """Prepare.

        Args:
            app: what answers the requests that pass.
            keys: the API keys.
            limits: of the service.
            describe: returns the OpenAPI document of the application.
        """
        self.app, self.keys, self.limits, self.describe = app, keys, limits, describe
        self._buckets = None if limits.rate is None else TokenBuckets(limits.rate)

    @cached_property
    def routes(self) -> RouteTable:
        """The routes of the application."""
        return RouteTable(self.describe())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_sent = False
        path: str = scope["path"]
        extra = [*HEADERS, NO_STORE] if path.startswith(PREFIX) else HEADERS

        async def send_safely(message: Message) -> None:
            nonlocal is_sent
            if message["type"] == "http.response.start":
                is_sent = True
                given = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(one for one in extra if one[0] not in given)]
            await send(message)

        try:
            await self.app(scope, await self._admit(scope, receive), send_safely)
        except ProblemError as problem:
            response = problem_response(problem.status, problem.detail, headers=problem.headers)
            await response(scope, receive, send_safely)
        except Exception as error:
            logger.error("a request failed: %s", log_text(error))
            if is_sent:
                raise ConnectionAbortedError from None  # the client sees that the answer is not complete
            response = problem_response(500, "an error of the service; its log says where")
            await response(scope, receive, send_safely)

    async def _admit(self, scope: Scope, receive: Receive) -> Receive:
        """Check a request; where the application reads its body from.

        Raises:
            ProblemError: it is refused.
        """
        headers = dict(scope["headers"])
        path, method = scope["path"], scope["method"]
        if not self.limits.keys:
            self._check_source(headers)
        rule = self.routes.find(method, path)
        is_page = rule is None and not path.startswith(PREFIX)  # the page and its files, the routes for people
        key = self._key(headers, rule) if self.limits.keys and not is_page else None
        self._check_rate(scope, key)
        if is_page:
            return receive
        scope[RULE] = rule
        if rule is None:
            raise self._no_route(method, path)
        check_path(scope.get("raw_path") or path.encode())
        check_query(scope["query_string"], rule)
        return await self._body(scope, receive, headers, rule)

    def _check_source(self, headers: Mapping[bytes, bytes]) -> None:
        """Without keys, refuse pages of other sites that a browser of this machine shows."""
        hosts = self.limits.hosts
        if hosts is None:
            return
        host = headers.get(b"host", b"").decode("latin-1")
        if host_name(host) not in hosts:
            raise ProblemError(
                403, "Host: another name than that of this machine; a service behind a proxy needs --require-keys"
            )
        origin = headers.get(b"origin", b"").decode("latin-1")
        site = headers.get(b"sec-fetch-site", b"same-origin")
        is_foreign = site in (b"cross-site", b"same-site") and headers.get(b"sec-fetch-mode") != b"navigate"
        if is_foreign or (origin and origin.partition("://")[2] != host):
            raise ProblemError(
                403, "Origin: pages of other sites may not ask; ask from a program, or from the page at /"
            )

    def _key(self, headers: Mapping[bytes, bytes], rule: RouteRule | None) -> ApiKey | None:
        """The key of a request, which may do what its route needs."""
        if rule is not None and rule.role is None:
            return None
        given = headers.get(b"authorization", b"").decode("latin-1")
        key = self.keys.find(given)
        if key is None:
            what = "no key of this service" if given else "missing"
            raise ProblemError(
                401,
                f"Authorization: {what}; send Authorization: Bearer KEY, with a key that `segue serve --new-key` made",
                {"WWW-Authenticate": "Bearer"},
            )
        if rule is not None and rule.role is not None and not key.allows(rule.role):
            raise ProblemError(403, f"the key has the role {key.role}; this route needs the role {rule.role}")
        return key

    def _check_rate(self, scope: Scope, key: ApiKey | None) -> None:
        if self._buckets is None:
            return
        client = scope.get("client")
        name = key.hash if key is not None else f"address {client[0] if client else ''}"
        wait = self._buckets.wait(name, time.monotonic())
        if wait:
            raise ProblemError(
                429,
                f"more than {self.limits.rate:g} requests a second; wait as long as Retry-After says",
                {"Retry-After": str(math.ceil(wait))},
            )

    def _no_route(self, method: str, path: str) -> ProblemError:
        methods = self.routes.methods(path)
        if not methods:
            return ProblemError(404, "no such route; /docs and /openapi.json describe all")
        allowed = ", ".join(methods)
        return ProblemError(405, f"{method}: not for this path, which has {allowed}", {"Allow": allowed})

    async def _body(self, scope: Scope, receive: Receive, headers: Mapping[bytes, bytes], rule: RouteRule) -> Receive:
        """Read and check the body; what hands it to the application."""
        length = headers.get(b"content-length", b"0")
        if not rule.has_body:
            if length != b"0" or b"transfer-encoding" in headers:
                raise ProblemError(400, f"{scope['method']} takes no body here; give parameters in the query", CLOSE)
            return receive
        if length.isdigit() and (len(length) > MAX_DIGITS or int(length) > self.limits.body):
            raise self._too_large()
        check_content_type(headers)
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                body = await self._read(receive)
        except TimeoutError as error:
            seconds = self.limits.body_seconds
            raise ProblemError(408, f"the body did not arrive within {seconds:g} seconds", CLOSE) from error
        if body is None:
            return receive  # the client went away, and the application is told so
        if body:
            check_json(body)
        others = [one for one in scope["headers"] if one[0] != b"content-type"]
        scope["headers"] = [*others, (b"content-type", b"application/json")]
        return _replay(body, receive)

    async def _read(self, receive: Receive) -> bytes | None:
        """A body; None if the client went away."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > self.limits.body:
                raise self._too_large()
            if not message.get("more_body", False):
                return bytes(body)

    def _too_large(self) -> ProblemError:
        return ProblemError(413, f"the body has more than {self.limits.body:,} bytes; send less at once", CLOSE)


def host_name(host: str) -> str:
    """The name in a header Host, without the port.

    >>> host_name("localhost:8000"), host_name("[::1]:8000"), host_name("shop.example")
    ('localhost', '::1', 'shop.example')
    """
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _replay(body: bytes, receive: Receive) -> Receive:
    """What hands out a body that was read already."""
    is_waiting = True

    async def read() -> Message:
        nonlocal is_waiting
        if not is_waiting:
            return await receive()
        is_waiting = False
        return {"type": "http.request", "body": body, "more_body": False}

    return read
