"""`create_app`: the HTTP service of a store and its models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from segue.service.hot_path import HotPath
from segue.service.metrics import TimedRequests
from segue.service.problems import add_handlers
from segue.service.routes import events, health, models, quality, recommend
from segue.service.service import Service

DESCRIPTION = "What comes next: events in, recommendations out."


def create_app(service: Service) -> FastAPI:
    """The application that answers for a service. The store is closed when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await service.close()

    app = FastAPI(title="segue", version=version("segue"), description=DESCRIPTION, lifespan=lifespan)
    app.state.service = service
    add_handlers(app)
    app.add_middleware(HotPath, service=service)
    app.add_middleware(TimedRequests, metrics=service.metrics)
    for module in (events, recommend, models, quality):
        app.include_router(module.router, prefix="/v1")
    app.include_router(health.router)
    app.include_router(quality.metrics_router)
    return app
