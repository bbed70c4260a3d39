"""`QualityWatch`: computes the live quality from time to time, in a thread, and says when a model drops."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from segue.service.monitoring.quality_figures import HOURS, QualityReport, quality_report

if TYPE_CHECKING:
    from segue.service.service import Service

WATCH_SECONDS = 60.0
FRESH_SECONDS = 10.0  # a younger report is not computed again for /metrics
K = 10

logger = logging.getLogger("segue.service")


class QualityWatch:
    """The newest report on the live quality at the usual cut-off."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.latest: QualityReport | None = None
        self._time = -float("inf")
        self._said: set[tuple[str, str, str]] = set()

    async def report(self, k: int = K, hours: float = HOURS) -> QualityReport:
        """The live quality now."""
        return await asyncio.to_thread(quality_report, self.service, k, hours)

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
