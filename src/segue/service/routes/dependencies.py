"""`get_service` and `get_is_admin`: what routes depend on, the service and what the client may do."""

from __future__ import annotations

from fastapi import Request

from segue.event_store.api_keys import ApiKey
from segue.service.http.request_checks import KEY
from segue.service.service import Service


async def get_service(request: Request) -> Service:
    """The service of the app. It is async because FastAPI calls other functions in a thread, which takes longer."""
    service: Service = request.app.state.service
    return service


async def get_is_admin(request: Request) -> bool:
    """Whether the client may do everything: with a key of the role admin, or where no keys are needed."""
    key: ApiKey | None = request.scope.get(KEY)
    return key is None or key.allows("admin")
