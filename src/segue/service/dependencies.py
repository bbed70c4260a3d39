"""What routes ask for: the service that answers."""

from __future__ import annotations

from fastapi import Request

from segue.service.service import Service


def get_service(request: Request) -> Service:
    """The service of the app."""
    service: Service = request.app.state.service
    return service
