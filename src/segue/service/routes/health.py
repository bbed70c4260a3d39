"""/healthz and /readyz: whether the process lives, and whether it can answer."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel, Field

from segue.errors import DataError
from segue.service.http.log_limit import LIMITED
from segue.service.http.openapi import needs
from segue.service.http.problems import ASK_AGAIN
from segue.service.routes.dependencies import get_service
from segue.service.service import Service

logger = logging.getLogger("segue.service")
router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The state of the service."""

    status: str = Field(description="Always ok; an error has another HTTP status.", examples=["ok"])


@router.get("/healthz", summary="Whether the process lives", openapi_extra=needs("none"))
async def healthz() -> Health:
    """Answers as long as the process runs."""
    return Health(status="ok")


@router.get("/readyz", summary="Whether the service can answer", openapi_extra=needs("none"))
async def readyz(service: Annotated[Service, Depends(get_service)]) -> Health:
    """Answers 200 when a model is loaded, the store can be read and items can be selected by the rules, else 503."""
    try:
        await service.read(service.store.check)
        service.shop.selector.get()
    except DataError as error:
        logger.warning("not ready: %s", error, extra=LIMITED)
        raise HTTPException(503, "the store cannot be used now; the log says why", ASK_AGAIN) from error
    return Health(status="ok")
