"""`JsonRoute`: the class of the routes with a body, which is read within the limits of the service, and as strict JSON.

{"k": 5, "k": 6}    twice: the first one would be ignored
{"value": 1e999}    too large: would be infinite
{"user": "\\u0000"}  no store can hold it
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers

from segue.json_files import strict_json
from segue.service.http.limits import Limits
from segue.service.http.names import storable
from segue.service.http.problems import CLOSE

JSON = Headers({"content-type": "application/json"})
JSON_TYPES = ("application/json", "application/x-www-form-urlencoded", "")  # the second one is what `curl -d` says


class JsonRequest(Request):
    """A request with a body of JSON."""

    @property
    def headers(self) -> Headers:
        """Those by which FastAPI decides that a body is JSON; `JsonRoute` has checked what the client says."""
        return JSON

    async def body(self) -> bytes:
        """The body.

        Raises:
            HTTPException: 408 or 413: it comes too slowly, or is too large.
        """
        limits: Limits = self.app.state.limits
        try:
            async with asyncio.timeout(limits.body_seconds):
                return await super().body()
        except TimeoutError as error:
            raise HTTPException(
                408, f"the body did not arrive within {limits.body_seconds:g} seconds", CLOSE
            ) from error

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The parts of the body, which `body` joins."""
        limit, size = self.app.state.limits.body, 0
        async for part in super().stream():
            size += len(part)
            if size > limit:
                raise HTTPException(413, f"the body has more than {limit:,} bytes; send less at once", CLOSE)
            yield part

    async def json(self) -> Any:
        """The content of the body; see `read_json`."""
        return read_json(await self.body())


class JsonRoute(APIRoute):
    """A route that reads its body from a `JsonRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        answer = super().get_route_handler()

        async def answer_json(request: Request) -> Response:
            check_content_type(request.headers)
            return await answer(JsonRequest(request.scope, request.receive))

        return answer_json if self.body_field else answer


def check_content_type(headers: Headers) -> None:
    """Refuse bodies that are compressed or say that they are something else than JSON.

    Raises:
        HTTPException: 415, with what is wrong.
    """
    for name, plain in (("Content-Encoding", "identity"), ("Transfer-Encoding", "chunked")):
        encoding = _value(headers, name)
        if encoding not in ("", plain):
            raise HTTPException(415, f"{name} {encoding}: send the body without compression")
    kind, _, parameters = _value(headers, "Content-Type").partition(";")
    charset = parameters.replace(" ", "").replace('"', "")
    if kind.strip() not in JSON_TYPES or charset not in ("", "charset=utf-8"):
        raise HTTPException(415, "send JSON in UTF-8, with the header Content-Type: application/json")


def _value(headers: Headers, name: str) -> str:
    """All values of a header, in lower case; a header may stand several times."""
    return ", ".join(value.strip().lower() for value in headers.getlist(name))


def read_json(body: bytes) -> Any:
    """The content of JSON in UTF-8 without doubled fields, and without numbers and characters that cannot be stored.

    Raises:
        HTTPException: 422, with what is wrong.
    """
    try:
        text = body.decode()
        content = strict_json(text)
        if "\\u" in text:
            _check_texts(content)
    except UnicodeDecodeError as error:
        raise HTTPException(422, "body: not UTF-8") from error
    except RecursionError as error:
        raise HTTPException(422, "body: lists and objects are nested too deeply") from error
    except json.JSONDecodeError as error:
        raise HTTPException(422, f"body: not JSON: {error.msg} at character {error.pos + 1}") from error
    except ValueError as error:
        raise HTTPException(422, f"body: {error}") from error
    return content


def _check_texts(content: Any) -> None:
    waiting = [content]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            storable(one)
        elif isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one
