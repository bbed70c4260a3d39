"""Error answers as problem details (RFC 9457): one form for every error, with a sentence that says what to do.

HTTP/1.1 422 Unprocessable Content
Content-Type: application/problem+json

{"type": "about:blank", "title": "Unprocessable Content", "status": 422,
 "detail": "query k: must be a whole number from 1 to 1000", "errors": [...]}
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from segue.errors import ArtefactError, ConfigError, DataError, SegueError, TrainingError
from segue.service.bounded_threads import BusyError
from segue.service.http.log_limit import LIMITED
from segue.service.log_text import log_text

MEDIA_TYPE = "application/problem+json"
ASK_AGAIN = {"Retry-After": "1"}  # a store or a model that cannot be used now
CLOSE = {"Connection": "close"}  # for requests of which the rest is not read

logger = logging.getLogger("segue.service")


class FieldProblem(BaseModel):
    """What is wrong with one field of a request."""

    field: str = Field(description="Where it is, such as 'query k' or 'body events 3 time'.", examples=["query k"])
    detail: str = Field(description="What it must be.", examples=["Input should be greater than or equal to 1"])


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(default="about:blank", description="Always about:blank: the status says what kind it is.")
    title: str = Field(description="The name of the status.", examples=["Unprocessable Content"])
    status: int = Field(description="The HTTP status.", examples=[422])
    detail: str = Field(description="What is wrong, and what to do.", examples=["query k: must be at least 1"])
    errors: list[FieldProblem] = Field(default_factory=list, description="Each field that is wrong.")


def problem_response(
    status: int, detail: str, errors: Sequence[FieldProblem] = (), headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The answer to a request that failed."""
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=list(errors))
    return JSONResponse(problem.model_dump(), status, headers, MEDIA_TYPE)


def error_response(error: Exception) -> JSONResponse:
    """The answer to an error of a request; of an unforeseen one, the log says where it is, and nothing of users."""
    if isinstance(error, HTTPException):
        return problem_response(error.status_code, str(error.detail), headers=error.headers)
    if isinstance(error, SegueError):
        status = _status_of(error)
        return problem_response(status, str(error), headers=ASK_AGAIN if status == 503 else None)
    logger.error("a request failed: %s", log_text(error), extra=LIMITED)
    return problem_response(500, "an error of the service; its log says where")


def add_handlers(app: FastAPI) -> None:
    """Answer every error with problem details."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [FieldProblem(field=_place(one["loc"]), detail=str(one["msg"])) for one in error.errors()]
        return problem_response(422, f"{errors[0].field}: {errors[0].detail}", errors)

    @app.exception_handler(HTTPException)
    @app.exception_handler(SegueError)
    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        return error_response(error)


def _place(parts: Sequence[str | int]) -> str:
    """Where a field is, in words; names of alternatives, which are in parentheses, are left out."""
    return " ".join(str(part) for part in parts if not str(part).startswith("("))


def _status_of(error: SegueError) -> int:
    """The request is wrong (422), or the store or a model fails, or too much is to be computed (503)."""
    if isinstance(error, ConfigError):
        return 422
    return 503 if isinstance(error, (DataError, TrainingError, ArtefactError, BusyError)) else 500
