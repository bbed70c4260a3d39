"""`catch_up`: what a service does from time to time is done when a test says so."""

from __future__ import annotations

from fastapi.testclient import TestClient

from segue.service.service import Service


def catch_up(client: TestClient, service: Service) -> None:
    """Do all periodic work of a service now: what other processes changed then counts here."""

    async def once() -> None:
        for one in service.periodic:
            await one.once()

    client.portal.call(once)
