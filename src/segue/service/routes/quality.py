"""/v1/quality: whether the models still do what they did in their tests. /metrics: figures for Prometheus."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from prometheus_client import CONTENT_TYPE_LATEST

from segue.errors import SegueError
from segue.service.deadline import in_time
from segue.service.http.openapi import needs
from segue.service.monitoring.live_quality import MAX_CUTOFF
from segue.service.monitoring.quality_figures import HOURS, QualityReport
from segue.service.monitoring.quality_series import POINTS, QualitySeries, quality_series
from segue.service.routes.dependencies import get_service
from segue.service.service import Service

router = APIRouter(tags=["quality"])
metrics_router = APIRouter(tags=["health"])
Cutoff = Annotated[int, Query(ge=1, le=MAX_CUTOFF, description="The cut-off of recall and MRR.")]
Hours = Annotated[float, Query(gt=0, le=24 * 366, description="Lists of so many last hours are counted.")]


@router.get("/quality", summary="Live quality of the models", openapi_extra=needs("read"))
async def quality(
    service: Annotated[Service, Depends(get_service)],
    k: Cutoff = 10,
    hours: Hours = HOURS,
) -> QualityReport:
    """Live recall@k and MRR@k by model and arm, with 95% intervals, and the figures of their tests.

    Each recommended list waits, at most a day, for the event that follows the history that it was made from. A list
    that no event follows is not counted; of several lists before an event the newest one is; an event of an item that
    the list left out because the user had it is not. Lists of popular items, and answers to requests that name a model,
    candidates or a history of their own, or say measure=false, are not measured.
    """
    return await service.watch.report(k, hours)


@router.get("/quality/series", summary="Live quality over time", openapi_extra=needs("read"))
async def series(
    service: Annotated[Service, Depends(get_service)],
    k: Cutoff = 10,
    hours: Hours = HOURS,
    points: Annotated[int, Query(ge=1, le=200, description="Number of stretches of time.")] = POINTS,
) -> QualitySeries:
    """Live recall@k and MRR@k of the last hours, one figure for each stretch of time: by default, hour by hour.

    A list belongs to the stretch in which it was recommended. What is measured is what /v1/quality counts.
    """
    return await in_time(service.computing.run(partial(quality_series, service.store.outcomes, k, hours, points)))


@metrics_router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"description": "Figures in the text format of Prometheus.", "content": {"text/plain": {}}}},
    openapi_extra=needs("read"),
)
async def metrics(service: Annotated[Service, Depends(get_service)]) -> Response:
    """Counters, latencies, batch sizes, ages of models, live quality. Labels are routes, models and arms."""
    with suppress(SegueError):  # the other figures are there without the store
        await service.watch.look()
    return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)
