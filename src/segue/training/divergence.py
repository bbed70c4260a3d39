"""`LossWatch`: an error if the loss of a training is not finite, and a warning if it climbs far above its start."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from segue.errors import TrainingError
from segue.models.base.model import GradientModel
from segue.models.base.remedy import remedy
from segue.reporting.console import say

FACTOR = 2.0  # a mean loss that is larger than that of the untrained weights by this factor


class LossWatch:
    """The losses of one training, epoch by epoch.

    A training that diverges can stay finite, and even fall again, without an error. It begins within a few batches, so
    epochs are compared with the first batch, whose loss is that of the untrained weights.

    Args:
        model: that is trained.
        start: the loss that epochs are compared with; None takes that of the next batch.
    """

    def __init__(self, model: GradientModel, start: float | None) -> None:
        self.model, self.start, self.has_warned = model, start, False

    def mean(self, epoch: int, losses: Float[Tensor, "n"]) -> float:
        """The mean of the losses of an epoch's batches. The first one that is far above the start brings a message.

        Raises:
            TrainingError: a loss is not finite.
        """
        if not losses.isfinite().all():
            first = int((~losses.isfinite()).nonzero()[0]) + 1
            raise TrainingError(
                f"{self.model.name}: the loss is not finite from batch {first} of epoch {epoch} on; {self._advice}"
            )
        mean = float(losses.double().mean())
        if self.start is None:
            self.start = float(losses[0])
        if mean > FACTOR * self.start and not self.has_warned:
            self.has_warned = True
            say(
                f"training {self.model.name}: the loss of epoch {epoch} is {mean:.4g}, and was {self.start:.4g} at the "
                f"start, so the training diverges; {self._advice}"
            )
        return mean

    @property
    def _advice(self) -> str:
        return remedy(self.model)
