"""`Impressions`: what an answer leaves behind: the list that was shown, and those of shadow models."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from segue.event_store.clock import now
from segue.event_store.outcomes import RecommendedList
from segue.service.http.log_limit import LIMITED
from segue.service.log_text import log_text
from segue.service.models.deployments import SHADOW, Deployment
from segue.service.models.loaded_model import Answer, LoadedModel
from segue.service.monitoring.live_quality import MAX_CUTOFF, LiveQuality
from segue.service.users.history import History
from segue.serving.top_items import leaves_out_seen

MAX_TASKS = 256  # questions to shadow models at a time; more are left out

logger = logging.getLogger("segue.service")


@dataclass(frozen=True, slots=True)
class ImpressionQuery:
    """A question of a user.

    Attributes:
        history: what the user did.
        ask: sends the same query to a model.
        is_measured: whether the list of a model counts. To exclude what it leaves out anyway changes nothing; a model
            that recommends seen items makes another list than usual.
    """

    history: History
    ask: Callable[[LoadedModel], Awaitable[Answer]]
    is_measured: Callable[[LoadedModel], bool]


class Impressions:
    """Hands lists to `LiveQuality`, and queries shadow models, after the answer has been sent.

    Attributes:
        skipped: number of questions to shadow models which were left out or failed.
    """

    def __init__(self, quality: LiveQuality) -> None:
        self.quality = quality
        self.skipped = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def add(
        self, deployment: Deployment, loaded: LoadedModel, arm: str, query: ImpressionQuery, answer: Answer
    ) -> None:
        """Remember the list of an answer, and let shadow models make theirs.

        Args:
            deployment: that of the answer.
            loaded: the model that answered.
            arm: of the user.
            query: the question.
            answer: its list; one of popular items, because the model could not answer, is not remembered.
        """
        if query.is_measured(loaded):
            self._remember(loaded, arm, query, answer)
        for name in deployment.split.shadow:
            if not query.is_measured(deployment.models[name]):
                continue
            if len(self._tasks) >= MAX_TASKS:
                self.skipped += 1
                continue
            task = asyncio.get_running_loop().create_task(self._ask(deployment.models[name], query))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @property
    def unmeasured(self) -> int:
        """Number of lists that were not remembered, of all models."""
        return self.skipped + self.quality.skipped

    async def close(self) -> None:
        """Wait for shadow models."""
        await asyncio.gather(*self._tasks)

    async def _ask(self, model: LoadedModel, query: ImpressionQuery) -> None:
        try:
            answer = await query.ask(model)
            self._remember(model, SHADOW, query, answer)
        except Exception as error:
            self.skipped += 1
            logger.warning("the shadow model %s could not answer: %s", model.name, log_text(error), extra=LIMITED)

    def _remember(self, model: LoadedModel, arm: str, query: ImpressionQuery, answer: Answer) -> None:
        if answer.fallback is not None or not answer.ids:
            return
        tokens, (after_time, after_seq) = model.tokens, query.history.last
        self.quality.recommended(
            RecommendedList(
                user=query.history.user,
                model=model.name,
                fingerprint=model.fingerprint,
                arm=arm,
                time=now(),
                after_time=after_time,
                after_seq=after_seq,
                allows_seen=not leaves_out_seen(model.model),
                items=tuple(tokens[index] for index in answer.ids[:MAX_CUTOFF]),
            ),
            query.history.version,
        )
