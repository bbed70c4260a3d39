"""`Metrics`: what Prometheus reads at /metrics. Labels are routes, models and arms, never users or items.

segue_request_seconds{route,method,status}     latency of requests
segue_answer_seconds{model}                    latency of a model's answer: history, selection and scores; without HTTP,
                                               lists of popular items and explanations
segue_answers_total{model,arm,fallback}        recommendations; fallback="true" where popular items were recommended,
                                               arm="named" where the request names the model
segue_unmeasured_lists_total                   lists that the live quality does not know
segue_events_total{result}                     events: stored, duplicate, conflict
segue_batch_size{model}                        questions that were scored together
segue_model_age_seconds, segue_model_share     of each active model; age since it was saved
segue_learnt_events{model}                     events that a model has learnt since its training
segue_live_recall, segue_live_mrr, segue_live_lists, segue_live_drop      see `segue.service.monitoring.quality_figures`
segue_histories, segue_history_events          users and events in memory
process_*                                      memory, processor time, open files
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from segue.service.http.request_checks import ROUTE
from segue.service.monitoring.quality_figures import ArmQuality
from segue.service.monitoring.quality_watch import K, QualityWatch
from segue.service.users.event_writer import EventWriter
from segue.service.users.histories import Histories

BUCKETS = (0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.006, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
BATCHES = (1, 2, 4, 8, 16, 32, 64)
UNKNOWN = "unknown"  # the route of a request that none fits


class Metrics:
    """The counters of a service, in a registry of their own."""

    def __init__(self, writer: EventWriter, histories: Histories, watch: QualityWatch) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(ServiceState(writer, histories, watch))
        requests = Histogram(
            "segue_request_seconds",
            "Latency of requests",
            ["route", "method", "status"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        seconds = Histogram(
            "segue_answer_seconds",
            "Latency of recommendations without HTTP",
            ["model"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        answers = Counter("segue_answers", "Recommendations", ["model", "arm", "fallback"], registry=self.registry)
        self._requests = cache(requests.labels)
        self._seconds, self._answers = cache(seconds.labels), cache(answers.labels)

    def requested(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests(route, method, str(status)).observe(seconds)

    def answered(self, model: str, arm: str, *, fallback: bool, seconds: float) -> None:
        """Count a recommendation."""
        self._seconds(model).observe(seconds)
        self._answers(model, arm, "true" if fallback else "false").inc()

    def text(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)


class ServiceState(Collector):
    """Figures that are read from the state of a service for each scrape."""

    def __init__(self, writer: EventWriter, histories: Histories, watch: QualityWatch) -> None:
        self.writer, self.histories, self.watch = writer, histories, watch

    def describe(self) -> list[Metric]:
        """Nothing: what there is depends on the state."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All figures of this moment."""
        events = CounterMetricFamily("segue_events", "Events that were sent", labels=["result"])
        events.add_metric(["stored"], self.writer.stored)
        events.add_metric(["duplicate"], self.writer.duplicates)
        events.add_metric(["conflict"], self.writer.conflicts)
        yield events
        users, past = self.histories.sizes()
        yield GaugeMetricFamily("segue_histories", "Users whose histories are in memory", users)
        yield GaugeMetricFamily("segue_history_events", "Events of the histories in memory", past)
        unmeasured = self.watch.impressions.unmeasured
        yield CounterMetricFamily("segue_unmeasured_lists", "Lists that were not remembered", unmeasured)
        yield from self._models()
        yield from self._quality()

    def _models(self) -> Iterator[Metric]:
        deployment, now = self.watch.deployment(), datetime.now(UTC)
        age = GaugeMetricFamily("segue_model_age_seconds", "Time since a model was saved", labels=["model"])
        share = GaugeMetricFamily("segue_model_share", "Share of the users that a model answers", labels=["model"])
        sizes = HistogramMetricFamily("segue_batch_size", "Questions that were scored together", labels=["model"])
        learnt = GaugeMetricFamily("segue_learnt_events", "Events learnt since the training", labels=["model"])
        shares = deployment.split.shares()
        for name, loaded in deployment.models.items():
            saved = loaded.saved.about.get("saved")
            if saved is not None and name in deployment.split.models:
                age.add_metric([name], max(0.0, (now - datetime.fromisoformat(saved)).total_seconds()))
            share.add_metric([name], shares.get(name, 0.0))
            buckets, total = size_buckets(loaded.batch_sizes)
            sizes.add_metric([name], buckets=buckets, sum_value=total)
            if loaded.learner is not None:
                learnt.add_metric([name], loaded.learner.num_learnt)
        yield from (age, share, sizes, learnt)

    def _quality(self) -> Iterator[Metric]:
        report = self.watch.latest
        labels = ["model", "arm", "statistic"]
        recall = GaugeMetricFamily("segue_live_recall", f"Live recall@{K} and its interval", labels=labels)
        mrr = GaugeMetricFamily("segue_live_mrr", f"Live MRR@{K} and its interval", labels=labels)
        lists = GaugeMetricFamily("segue_live_lists", "Lists behind the live figures", labels=labels[:2])
        drop = GaugeMetricFamily("segue_live_drop", "1 if a model is below its test", labels=labels[:2])
        for one in [] if report is None else report.arms:
            if one.active:
                _add_arm(one, recall, mrr, lists, drop)
        yield from (recall, mrr, lists, drop)


def _add_arm(
    one: ArmQuality,
    recall: GaugeMetricFamily,
    mrr: GaugeMetricFamily,
    lists: GaugeMetricFamily,
    drop: GaugeMetricFamily,
) -> None:
    for family, figure in ((recall, one.recall), (mrr, one.mrr)):
        if figure is not None:
            for statistic, value in (("mean", figure.mean), ("low", figure.low), ("high", figure.high)):
                family.add_metric([one.model, one.arm, statistic], float(value or 0.0))
    lists.add_metric([one.model, one.arm], one.lists)
    drop.add_metric([one.model, one.arm], float(one.drop))


def size_buckets(sizes: Mapping[int, int]) -> tuple[list[tuple[str, float]], float]:
    """The cumulative buckets of Prometheus, and the sum, of numbers of batches by size.

    >>> size_buckets({1: 5, 3: 1})[0][:3], size_buckets({1: 5, 3: 1})[1]
    ([('1', 5.0), ('2', 5.0), ('4', 6.0)], 8.0)
    """
    limits: list[tuple[str, float]] = [(str(limit), float(limit)) for limit in BATCHES]
    limits.append(("+Inf", float("inf")))
    buckets = [(name, float(sum(count for size, count in sizes.items() if size <= limit))) for name, limit in limits]
    return buckets, float(sum(size * count for size, count in sizes.items()))


class TimedRequests:
    """An ASGI application around another one, which measures how long its answers take."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begin, status = time.perf_counter(), 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watch)
        finally:
            route = route_of(scope)
            method = scope["method"] if route != UNKNOWN else UNKNOWN
            self.metrics.requested(route, method, status, time.perf_counter() - begin)


def route_of(scope: Scope) -> str:
    """The path of a route as it is described, such as /v1/users/{user}: it has no name of a user."""
    route = scope.get(ROUTE)
    return UNKNOWN if route is None else str(route.path)
