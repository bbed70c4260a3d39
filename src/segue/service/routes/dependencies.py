"""`get_service`: the dependency of the routes on the service."""

from __future__ import annotations

from fastapi import Request

from segue.service.service import Service


async def get_service(request: Request) -> Service:
    """The service of the app. It is async because FastAPI calls other functions in a thread, which takes longer."""
    service: Service = request.app.state.service
    return service
