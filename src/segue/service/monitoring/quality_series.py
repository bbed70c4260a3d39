"""`quality_series`: the live quality of each stretch of time, such as hour by hour."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from segue.event_store.clock import MICROSECONDS, now, to_datetime
from segue.event_store.outcomes import Outcomes
from segue.service.monitoring.quality_figures import HOURS, ArmFigures, arm_figures

POINTS = 24


class QualityPoint(BaseModel):
    """The live quality in a stretch of time."""

    start: datetime = Field(description="Its begin.", examples=["2026-11-29T10:00:00Z"])
    end: datetime = Field(description="Its end, which may be to come.", examples=["2026-11-29T11:00:00Z"])
    arms: list[ArmFigures] = Field(description="Each model in each arm that has outcomes in it.")


class QualitySeries(BaseModel):
    """The live quality over time."""

    k: int = Field(description="The cut-off.", examples=[10])
    points: list[QualityPoint] = Field(description="The stretches of time, oldest first.")


def quality_series(outcomes: Outcomes, k: int = 10, hours: float = HOURS, points: int = POINTS) -> QualitySeries:
    """The live quality of the last hours, in stretches of equal length; reads the store.

    The stretches begin at whole multiples of their length since 1970, so that a figure does not change with the moment
    of the request. The last one is under way.
    """
    width = max(1, int(hours * 3600 * MICROSECONDS / points))
    first = (now() // width - points + 1) * width
    found = outcomes.series(k, first, first + points * width, width)
    return QualitySeries(
        k=k,
        points=[
            QualityPoint(
                start=to_datetime(first + number * width),
                end=to_datetime(first + (number + 1) * width),
                arms=[arm_figures(sums) for sums in found.get(number, ())],
            )
            for number in range(points)
        ],
    )
