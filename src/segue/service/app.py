"""`create_app`: the HTTP service of a store and its models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache, partial
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp

from segue.service.http import docs_page
from segue.service.http.limits import Limits
from segue.service.http.openapi import ALWAYS, describe_checks, responses
from segue.service.http.problems import add_handlers
from segue.service.http.request_checks import RequestChecks
from segue.service.monitoring.metrics import TimedRequests
from segue.service.routes import events, health, items, models, page, popular, quality, recommend, rules, users
from segue.service.routes.hot_path import HotPath
from segue.service.service import Service

DESCRIPTION = "What comes next: events in, recommendations out."


def create_app(service: Service, limits: Limits) -> ASGIApp:
    """The application that answers for a service: each request is timed and checked before a route answers it.

    These checks stand around FastAPI and not among its middleware, so that the hot path skips all of it.

    Args:
        service: what answers.
        limits: see `limits_of`.
    """
    routes = create_routes(service, limits)
    checked = RequestChecks(HotPath(routes, service), service.keys, limits, routes.openapi)
    return TimedRequests(checked, service.metrics)


def create_routes(service: Service, limits: Limits) -> FastAPI:
    """The routes of a service, without the checks of requests. The store is closed when the application ends.

    Args:
        service: what answers.
        limits: see `limits_of`.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await service.close()

    app = FastAPI(
        title="segue",
        version=version("segue"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses=responses(*ALWAYS),
    )
    app.state.service, app.state.limits = service, limits
    app.openapi = cache(partial(_describe, app, limits))  # type: ignore[method-assign]
    add_handlers(app)
    for module in (events, recommend, popular, items, users, rules, models, quality):
        app.include_router(module.router, prefix="/v1")
    app.include_router(health.router)
    app.include_router(docs_page.router)
    app.include_router(page.router)
    app.include_router(quality.metrics_router)
    return app


def _describe(app: FastAPI, limits: Limits) -> dict[str, Any]:
    """The OpenAPI document of an app, with keys, roles and errors."""
    return describe_checks(FastAPI.openapi(app), keys=limits.keys)
