"""`QualityWatch`: computes the live quality from time to time, in a thread, and says when a model drops."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial

from segue.service.bounded_threads import BoundedThreads
from segue.service.deadline import in_time
from segue.service.models.deployments import Deployment
from segue.service.monitoring.impressions import Impressions
from segue.service.monitoring.quality_figures import HOURS, QualityReport, quality_report

WATCH_SECONDS = 60.0
FRESH_SECONDS = 10.0  # a younger report is not computed again for /metrics
K = 10

logger = logging.getLogger("segue.service")


class QualityWatch:
    """The newest report on the live quality at the usual cut-off."""

    def __init__(
        self, impressions: Impressions, deployment: Callable[[], Deployment], computing: BoundedThreads
    ) -> None:
        """Prepare.

        Args:
            impressions: counts what was not measured, and knows the store.
            deployment: returns the models that answer.
            computing: where reports are computed.
        """
        self.impressions, self.deployment, self.computing = impressions, deployment, computing
        self.latest: QualityReport | None = None
        self._time = -float("inf")
        self._said: set[tuple[str, str, str]] = set()

    async def report(self, k: int = K, hours: float = HOURS) -> QualityReport:
        """The live quality now."""
        return await in_time(self.computing.run(partial(quality_report, self.impressions, self.deployment(), k, hours)))

    async def look(self) -> None:
        """Compute the newest report anew if it is old.

        Raises:
            DataError: the store cannot be read.
        """
        if time.monotonic() - self._time > FRESH_SECONDS:
            self.latest = await self.report()
            self._time = time.monotonic()
            self._say_drops(self.latest)

    def _say_drops(self, report: QualityReport) -> None:
        """Log each drop when it begins."""
        dropped = {(one.model, one.fingerprint, one.arm): one.message for one in report.arms if one.drop and one.active}
        for key in dropped.keys() - self._said:
            logger.warning("%s", dropped[key])
        self._said = set(dropped)
