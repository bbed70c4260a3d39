"""`RequestChecks`: every request passes it before a route sees it.

    key              where keys are needed                           401
    rate             requests a second of a key or an address        429
    role             where keys are needed                           403
    host, origin     from this machine, where no key is needed       403
    route            what is not described is refused                404, 405
    query, path      no unknown, doubled or damaged parameter        422
    body             none where none is read; see `JsonRoute`        400

So a request that is refused counts for the rate, too. What asks whether the service is well has none: behind a proxy
all clients may have one address, and the proxy would take the service for dead.

Errors of the routes that FastAPI does not see are answered as all others. Answers get headers that keep browsers from
doing anything with them but showing text.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from segue.event_store.api_keys import ApiKey
from segue.service.http.api_key_cache import ApiKeyCache
from segue.service.http.limits import Limits
from segue.service.http.problems import CLOSE, error_response
from segue.service.http.rate_limit import TokenBuckets
from segue.service.http.route_table import RouteSpec, RouteTable
from segue.service.http.strict_requests import check_path, check_query

PREFIX = "/v1/"
WITHOUT_RATE = ("/healthz", "/readyz")
ROUTE, KEY = "segue.route", "segue.key"  # the `RouteSpec` and the `ApiKey` of a request, in its scope
QUERY = "segue.query"  # names and values of its parameters, in its scope
NO_STORE = (b"cache-control", b"no-store")
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


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
        is_begun = is_complete = False
        path: str = scope["path"]
        extra = [*HEADERS, NO_STORE] if path.startswith(PREFIX) else HEADERS

        async def send_safely(message: Message) -> None:
            nonlocal is_begun, is_complete
            if message["type"] == "http.response.start":
                is_begun = True
                given = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(one for one in extra if one[0] not in given)]
            else:
                is_complete = not message.get("more_body", False)
            await send(message)

        try:
            self._check(scope)
            await self.app(scope, receive, send_safely)
        except Exception as error:
            if is_complete:  # a handler has answered and logged it
                return
            response = error_response(error)
            if is_begun:
                raise ConnectionAbortedError from None  # the client sees that the answer is not complete
            await response(scope, receive, send_safely)

    def _check(self, scope: Scope) -> None:
        """Check a request.

        Raises:
            HTTPException: it is refused.
        """
        headers = dict(scope["headers"])
        path, method = scope["path"], scope["method"]
        route = self.routes.find(method, path)
        is_page = route is None and not path.startswith(PREFIX)  # the page and its files, the routes for people
        is_open = is_page or (route is not None and route.role == "none")
        key = self._key(scope, headers) if self.limits.keys and not is_open else None
        if path not in WITHOUT_RATE:
            self._check_rate(_address(scope) if key is None else key.hash)
        if key is not None and route is not None:
            _check_role(key, route)
        if not self.limits.keys:
            self._check_source(headers)
        if is_page:
            return
        scope[ROUTE], scope[KEY] = route, key
        if route is None:
            raise self._no_route(method, path)
        check_path(scope.get("raw_path") or path.encode())
        scope[QUERY] = check_query(scope["query_string"], route)
        if not route.has_body and (headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers):
            raise HTTPException(400, f"{method} takes no body here; give parameters in the query", CLOSE)

    def _check_source(self, headers: Mapping[bytes, bytes]) -> None:
        """Without keys, refuse pages of other sites that a browser of this machine shows."""
        hosts = self.limits.hosts
        if hosts is None:
            return
        host = headers.get(b"host", b"").decode("latin-1")
        if host_name(host) not in hosts:
            raise HTTPException(
                403, "Host: another name than that of this machine; a service behind a proxy needs --require-keys"
            )
        origin = headers.get(b"origin", b"").decode("latin-1")
        site = headers.get(b"sec-fetch-site", b"same-origin")
        is_foreign = site in (b"cross-site", b"same-site") and headers.get(b"sec-fetch-mode") != b"navigate"
        if is_foreign or (origin and origin.partition("://")[2] != host):
            raise HTTPException(
                403, "Origin: pages of other sites may not ask; ask from a program, or from the page at /"
            )

    def _key(self, scope: Scope, headers: Mapping[bytes, bytes]) -> ApiKey:
        """The key of a request."""
        given = headers.get(b"authorization", b"").decode("latin-1")
        key = self.keys.find(given)
        if key is None:
            self._check_rate(f"no key, {_address(scope)}")
            what = "no key of this service" if given else "missing"
            raise HTTPException(
                401,
                f"Authorization: {what}; send Authorization: Bearer KEY, with a key that `segue serve --new-key` made",
                {"WWW-Authenticate": "Bearer"},
            )
        return key

    def _check_rate(self, client: str) -> None:
        """Take one of the requests that a client may make; a client is a key or an address."""
        wait = 0.0 if self._buckets is None else self._buckets.wait(client, time.monotonic())
        if wait:
            raise HTTPException(
                429,
                f"more than {self.limits.rate:g} requests a second; wait as long as Retry-After says",
                {"Retry-After": str(math.ceil(wait))},
            )

    def _no_route(self, method: str, path: str) -> HTTPException:
        methods = self.routes.methods(path)
        if not methods:
            return HTTPException(404, "no such route; /docs and /openapi.json describe all")
        allowed = ", ".join(methods)
        return HTTPException(405, f"{method}: not for this path, which has {allowed}", {"Allow": allowed})


def _check_role(key: ApiKey, route: RouteSpec) -> None:
    if route.role != "none" and not key.allows(route.role):
        raise HTTPException(403, f"the key has the role {key.role}; this route needs the role {route.role}")


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return f"address {client[0] if client else ''}"


def host_name(host: str) -> str:
    """The name in a header Host, without the port.

    >>> host_name("localhost:8000"), host_name("[::1]:8000"), host_name("shop.example")
    ('localhost', '::1', 'shop.example')
    """
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
