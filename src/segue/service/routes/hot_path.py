"""`HotPath`: answers GET /v1/recommend without the machinery of the framework, which takes as long as HGN.

The parameters are read and checked by the class of the route, `UserQuery`. A request whose parameters are wrong is
passed on to the route, which says so. Errors of an answer are those of every route: `RequestChecks` answers them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from segue.service.http.request_checks import QUERY
from segue.service.routes.recommend import UserQuery, answer
from segue.service.service import Service

PATH = "/v1/recommend"
LISTS = [name for name, field in UserQuery.model_fields.items() if field.default_factory is list]


class HotPath:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app, self.service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "GET":
            query = read_query(scope[QUERY])
            if query is not None:
                response = await answer(self.service, query.user, query)
                await send({"type": "http.response.start", "status": 200, "headers": response.raw_headers})
                await send({"type": "http.response.body", "body": response.body})
                return
        await self.app(scope, receive, send)


def read_query(pairs: Iterable[tuple[str, str]]) -> UserQuery | None:
    """The parameters of a request, or None if anything is wrong with them.

    >>> found = read_query([("user", "a b"), ("k", "5"), ("where", "genre:Drama"), ("where", "genre:War")])
    >>> found.user, found.k, found.where
    ('a b', 5, ['genre:Drama', 'genre:War'])
    >>> read_query([("user", "42"), ("k", "0")])
    """
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in LISTS:
            values.setdefault(name, []).append(value)
        else:
            values[name] = value
    try:
        return UserQuery.model_validate(values)
    except ValueError:
        return None
