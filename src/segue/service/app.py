"""`create_app`: the HTTP service of a store and its models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache, partial
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

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


def create_app(service: Service, limits: Limits) -> FastAPI:
    """The application that answers for a service. The store is closed when it ends.

    Args:
        service: what answers.
        limits: whom it answers, and what it refuses; see `limits_of`.
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
    app.add_middleware(HotPath, service=service)
    app.add_middleware(RequestChecks, keys=service.keys, limits=limits, describe=app.openapi)
    app.add_middleware(TimedRequests, metrics=service.metrics)
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
