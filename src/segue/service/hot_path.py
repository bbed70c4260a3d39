"""`HotPath`: answers GET /v1/recommend?user=U&k=K without the machinery of the framework, which takes as long as HGN.

    GET /v1/recommend?user=42&k=10        answered here
    anything else, also another parameter passed on to the routes, which check and describe everything

A request that fails here is passed on, too, so that its error has the same form as all others.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Receive, Scope, Send

from segue.service.loaded_model import MAX_ITEMS
from segue.service.names import MAX_LENGTH, usual_form
from segue.service.routes.recommend import Wanted, answer
from segue.service.service import Service

MAX_DIGITS = len(str(MAX_ITEMS))
PATH = "/v1/recommend"


class HotPath:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app, self.service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "GET":
            plain = plain_question(scope["query_string"])
            if plain is not None and await self._answer(*plain, send):
                return
        await self.app(scope, receive, send)

    async def _answer(self, user: str, k: int, send: Send) -> bool:
        """Answer, or say that something is wrong; then nothing was sent."""
        try:
            response = await answer(self.service, user, Wanted(k=k))
        except Exception:
            return False
        await send({"type": "http.response.start", "status": 200, "headers": response.raw_headers})
        await send({"type": "http.response.body", "body": response.body})
        return True


def plain_question(query: bytes) -> tuple[str, int] | None:
    """The user and the number of items, if the query has nothing else and both are right; otherwise None.

    >>> plain_question(b"user=42&k=5"), plain_question(b"user=a%20b"), plain_question(b"user=42&k=0")
    (('42', 5), ('a b', 10), None)
    """
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict")
        values = dict(pairs)
        if len(values) < len(pairs):
            return None
        user, k = values.pop("user"), values.pop("k", "10")
        if values or not k.isascii() or not k.isdigit() or len(k) > MAX_DIGITS or len(user) > MAX_LENGTH:
            return None
        user = usual_form(user)
    except (ValueError, KeyError):
        return None
    return (user, int(k)) if 1 <= int(k) <= MAX_ITEMS else None
