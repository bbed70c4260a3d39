"""`QualityReport`: live recall@k and MRR@k of each model and arm, with intervals, and the figures of its test.

A figure is over lists that were followed by an event and have at least k items. Its interval takes users as the
independent observations. `drop` says that a model does worse than in its test: the whole interval of its live recall@k
lies below the interval of the test.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from segue.evaluation.score_interval import ratio_error, score_interval
from segue.event_store.clock import MICROSECONDS, now
from segue.event_store.outcomes import Sums
from segue.service.deployment.model_list import Figure, offline_figures
from segue.service.models.deployments import SHADOW, Deployment
from segue.service.monitoring.impressions import Impressions

MIN_LISTS, MIN_USERS = 100, 20  # before a drop is said
HOURS = 24.0


class ArmFigures(BaseModel):
    """What a model reached in an arm, over some stretch of time."""

    model: str = Field(description="Name of the model.", examples=["hgn"])
    fingerprint: str = Field(description="Identifies its weights: a model that was trained anew is counted apart.")
    arm: str = Field(description="The arm of the A/B split, or shadow for lists that were not shown.", examples=["hgn"])
    lists: int = Field(description="Number of lists of at least k items that were followed by an event.")
    users: int = Field(description="Number of their users.")
    short: int = Field(description="Number of followed lists with fewer than k items, which are not counted.")
    recall: Figure | None = Field(description="Share of the lists with the next item among the first k.")
    mrr: Figure | None = Field(description="Mean of 1 / rank of the next item, 0 where it is not among the first k.")


class ArmQuality(ArmFigures):
    """The live quality of a model in an arm, and that of its test."""

    active: bool = Field(description="Whether the model is in use now.")
    offline_recall: Figure | None = Field(description="Its recall@k in its test, if it was measured at this k.")
    offline_mrr: Figure | None = Field(description="Its mrr@k in its test.")
    drop: bool = Field(description="Whether the live recall is below that of the test, beyond both intervals.")
    message: str | None = Field(description="The same in a sentence, with both figures.")


class QualityReport(BaseModel):
    """The live quality of all models."""

    k: int = Field(description="The cut-off.", examples=[10])
    hours: float = Field(
        description="The figures are over the lists of so many last hours: no more than are kept.", examples=[24.0]
    )
    skipped: int = Field(description="Lists of this process that were not remembered: too many came at a time.")
    arms: list[ArmQuality] = Field(description="Each model in each arm.")


def quality_report(impressions: Impressions, deployment: Deployment, k: int, hours: float) -> QualityReport:
    """The live quality over the last hours; reads the store."""
    end, quality = now(), impressions.quality
    hours = min(hours, quality.keep_days * 24)
    sums = quality.store.outcomes.sums(k, end - int(hours * 3600 * MICROSECONDS), end + MICROSECONDS)
    arms = [_arm(deployment, one, k) for one in sums]
    return QualityReport(k=k, hours=hours, skipped=impressions.unmeasured, arms=arms)


def _arm(deployment: Deployment, sums: Sums, k: int) -> ArmQuality:
    loaded = deployment.models.get(sums.model)
    same = loaded is not None and loaded.fingerprint == sums.fingerprint
    is_active = sums.model in deployment.split.shadow if sums.arm == SHADOW else sums.model in deployment.split.shares()
    offline = comparable_figures(loaded.saved.about) if loaded is not None and same else {}
    figures = arm_figures(sums)
    recall_before = offline.get(f"recall@{k}")
    drop = has_dropped(figures.recall, recall_before, sums)
    return ArmQuality(
        **dict(figures),
        active=same and is_active,
        offline_recall=recall_before,
        offline_mrr=offline.get(f"mrr@{k}"),
        drop=drop,
        message=_message(sums, k, figures.recall, recall_before) if drop else None,
    )


def arm_figures(sums: Sums) -> ArmFigures:
    """The figures of an arm from its sums."""
    return ArmFigures(
        model=sums.model,
        fingerprint=sums.fingerprint,
        arm=sums.arm,
        lists=sums.lists,
        users=sums.users,
        short=sums.short,
        recall=_figure(sums.hits, sums.lists, sums.hit_squares, sums.users),
        mrr=_figure(sums.reciprocal_ranks, sums.lists, sums.rank_squares, sums.users),
    )


def _figure(total: float, lists: int, squares: tuple[float, float, float], users: int) -> Figure | None:
    if not lists:
        return None
    mean = min(1.0, total / lists)
    low, high = score_interval(mean, ratio_error(total, lists, squares, users), users)
    return Figure(mean=mean, low=low, high=high)


def comparable_figures(facts: Mapping[str, Any]) -> dict[str, Figure]:
    """The figures of the test of a model, if it was tested as live lists are: on which one item comes next."""
    protocol = facts.get("experiment", {}).get("protocol", {})
    if protocol.get("horizon", 1) != 1 or protocol.get("task", "ranking") != "ranking":
        return {}
    return offline_figures(facts)


def has_dropped(live: Figure | None, offline: Figure | None, sums: Sums) -> bool:
    """Whether the interval of a live figure lies below that of the test; never of few lists."""
    if live is None or offline is None or live.high is None or offline.low is None:
        return False
    return sums.lists >= MIN_LISTS and sums.users >= MIN_USERS and live.high < offline.low


def _message(sums: Sums, k: int, live: Figure | None, offline: Figure | None) -> str:
    assert live is not None
    assert offline is not None
    return (
        f"{sums.model} (arm {sums.arm}): live recall@{k} is {_text(live)} over {sums.lists:,} lists, and was "
        f"{_text(offline)} in its test"
    )


def _text(figure: Figure) -> str:
    return f"{figure.mean:.4f} ({figure.low:.4f} to {figure.high:.4f})"
