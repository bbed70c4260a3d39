"""`fit`: the training loop, from top to bottom: epochs, batches, gradients, steps, validation and early stopping.

The random numbers of an epoch depend on (seed, epoch number) alone, so an interrupted training can be resumed between
two epochs and ends with the same weights, to the bit (law 12). `segue.training.state` writes and reads what that needs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segue import distributed
from segue.batches.batch import Batch
from segue.data.log import Log
from segue.errors import ConfigError, TrainingError
from segue.models.base.model import DirectModel, GradientModel, Model
from segue.nn.compiled.loop import same_loops, training_size
from segue.nn.matmul import fast_matmul
from segue.nn.memory import keep_freed_memory
from segue.nn.optim import Optimizer
from segue.reporting.console import progress, say
from segue.reporting.numbers import metric_text, validation_figure
from segue.resource_usage import PeakMemory, largest, stopwatch
from segue.training.budget import TimeBudget
from segue.training.divergence import LossWatch
from segue.training.state import Epoch, Training, TrainingState, in_use, run_identity

Validate = Callable[[Model], float]


class StopTraining(Exception):
    """Raised by a `validate` function to end the training after this epoch; the same call can resume it later.

    Attributes:
        metric: the validation metric of the epoch.
    """

    def __init__(self, metric: float) -> None:
        super().__init__(metric)
        self.metric = metric


def fit(  # noqa: PLR0913  one keyword for each rule of stopping
    model: Model,
    log: Log,
    *,
    seed: int = 0,
    validate: Validate | None = None,
    eval_every: int = 1,
    patience: int = 10,
    folder: Path | None = None,
    keep_state: bool = False,
    budget: TimeBudget | None = None,
) -> Training:
    """Train `model` on `log`.

    A `DirectModel` is fitted in one call. A `GradientModel` is trained for at most its config's `epochs`.

    Args:
        model: an untrained model.
        log: the training events; rows outside this view of a log are not read.
        seed: seed of the order of examples, of negatives and of dropout. (The initial weights are the model's own.)
        validate: returns a metric to be maximised, and is called every `eval_every` epochs and after the last one. The
            model ends with the weights of the best epoch. Without it all epochs are trained, and the last one counts.
            It may raise `StopTraining`.
        eval_every: epochs between two validations.
        patience: training stops after so many validations without a better metric.
        folder: where `training.jsonl` (one line an epoch) and the state of an interrupted training are kept. A call
            with the same arguments resumes the training. A finished training leaves `training.jsonl` only.
        keep_state: keep the state of the finished training too, for instance until the model is saved.
        budget: a limit on the time. The last epoch that fits into it is validated, and the best one so far is kept.

    Returns:
        The records of the epochs.

    Raises:
        ConfigError: `eval_every` or `patience` is below 1, the model is of neither kind, or the interrupted training
            began with the extra `fast` and would go on without it, or the other way round.
        TrainingError: the loss is not finite, there is nothing to train on, or `folder` holds the state of a different
            run, is in use by another process or cannot be written.
    """
    if eval_every < 1 or patience < 1:
        raise ConfigError(f"eval_every={eval_every} and patience={patience} must be at least 1")
    if isinstance(model, DirectModel):
        with stopwatch() as watch, PeakMemory() as memory:
            model.fit(log)
        return Training(seconds=watch.seconds, cpu_seconds=watch.cpu_seconds, peak_mb=memory.mb)
    if not isinstance(model, GradientModel):
        raise ConfigError(f"{type(model).__name__} is neither a DirectModel nor a GradientModel: it cannot be fitted")

    optimizer = model.optimizer()
    identity = run_identity(model, log, seed=seed, eval_every=eval_every, patience=patience) if folder else {}
    state = TrainingState(model, optimizer, folder, identity)
    schedule = _Schedule(model.config.epochs, eval_every, patience, budget)
    with in_use(folder):
        training = _train(model, optimizer, log, state, schedule, seed=seed, validate=validate)
        state.finish(keep_state=keep_state)
    if training.time_limit is not None:
        say(
            f"training {model.name}: stopped after {len(training.epochs)} of at most {model.config.epochs} epochs, to "
            f"keep the limit of {training.time_limit / 60:g} minutes; epoch {training.best} is the best so far"
        )
    return training


@dataclass(frozen=True)
class _Schedule:
    """When a training validates and stops; the attributes are those of `fit`, with the largest number of epochs."""

    epochs: int
    eval_every: int
    patience: int
    budget: TimeBudget | None

    def has_ended(self, training: Training) -> bool:
        """Whether all epochs are trained, the metric no longer improves, or an earlier call kept the same limit."""
        if training.time_limit is not None and self.budget and self.budget.user_limit <= training.time_limit:
            return True
        return len(training.epochs) >= self.epochs or _out_of_patience(training, self.eval_every * self.patience)

    def out_of_time(self, epoch: int, *, validations: int) -> bool:
        """Whether no process has time for the epoch after `epoch`."""
        return self.budget is not None and distributed.any_process(
            not self.budget.allows(epoch + 1, validations=validations)
        )

    def validates(self, epoch: int) -> bool:
        """Whether the model is validated after an epoch, if the time is not up."""
        return epoch % self.eval_every == 0 or epoch == self.epochs


def _train(
    model: GradientModel,
    optimizer: Optimizer,
    log: Log,
    state: TrainingState,
    schedule: _Schedule,
    *,
    seed: int,
    validate: Validate | None,
) -> Training:
    """The loop over epochs; the arguments are those of `fit`."""
    training, budget = state.resume(), schedule.budget
    loss_watch = LossWatch(model, training.epochs[0].loss if training.epochs else None)
    keep_freed_memory()
    with (
        PeakMemory() as memory,
        progress(
            f"training {model.name}",
            total=schedule.epochs,
            unit="epochs",
            at_most=validate is not None or budget is not None,
            done=len(training.epochs),
            seconds=budget.left if budget else None,
        ) as bar,
    ):
        stop = schedule.has_ended(training)
        if not stop:
            training.time_limit = None
        while not stop:
            epoch = len(training.epochs) + 1

            # one pass over the log
            with stopwatch() as watch, same_loops(training.loops, state.name):
                loss = loss_watch.mean(epoch, train_epoch(model, optimizer, log, seed, epoch))
            training.seconds += watch.seconds
            training.cpu_seconds += watch.cpu_seconds
            if budget:
                budget.add_epoch(watch.seconds)

            # validation, which is not left out after the last epoch that there is time for
            metric, was_stopped = None, False
            time_is_up = schedule.out_of_time(epoch, validations=2)
            if validate is not None and (schedule.validates(epoch) or time_is_up):
                metric, was_stopped = _validate(validate, model, budget)
            time_is_up = time_is_up or schedule.out_of_time(epoch, validations=1)

            # the best weights so far
            best_metric = training.metric
            training.epochs.append(Epoch(epoch, loss, metric, watch.seconds, watch.cpu_seconds))
            if validate is None:
                training.best = epoch
            elif metric is not None and (best_metric is None or metric > best_metric):
                training.best = epoch
                state.keep_best()

            ended = schedule.has_ended(training)
            if time_is_up and budget and not ended:
                training.time_limit = budget.user_limit
            stop = was_stopped or time_is_up or ended
            training.peak_mb = largest(training.peak_mb or 0, memory.mb)
            state.record(training, force=was_stopped or time_is_up)
            bar.note(_summary(training))
            bar.advance()
    return training


def _validate(validate: Validate, model: Model, budget: TimeBudget | None) -> tuple[float, bool]:
    """The validation metric, and whether the training is to end."""
    with stopwatch() as watch:
        try:
            metric, stop = validate(model), False
        except StopTraining as stopped:
            metric, stop = stopped.metric, True
    if budget:
        budget.add_validation(watch.seconds)
    return metric, stop


def train_epoch(model: GradientModel, optimizer: Optimizer, log: Log, seed: int, epoch: int) -> Float[Tensor, "n"]:
    """Train for one pass over `log`; all random numbers come from `seed` and `epoch`.

    Returns:
        The mean loss of a target in each of the n batches.

    Raises:
        TrainingError: the log has no training example.
    """
    model.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0] >> 1))
        rng = np.random.default_rng((seed, epoch))
        own_epoch, log = model.own_epoch(), model.config.draw_targets(log, rng)
        with training_size(len(log) * model.config.epochs):
            losses = own_epoch(log, rng) if own_epoch else _train_batches(model, optimizer, log, rng)
        if len(losses) == 0:
            raise nothing_to_train_on(model, log)
        model.end_epoch(log)
    return losses


def _train_batches(model: GradientModel, optimizer: Optimizer, log: Log, rng: np.random.Generator) -> Tensor:
    """Train for one pass over `log`; return the mean loss of a target in each batch."""
    device = next(model.parameters()).device
    # one buffer for the losses of all batches: many small tensors between large ones would fragment the memory
    losses, num_batches = torch.zeros(64, device=device), 0
    train = training_step(model, optimizer, device)
    for batch in model.batches(log, rng):
        loss = train(batch)
        if num_batches == len(losses):
            losses = torch.cat([losses, torch.zeros_like(losses)])
        losses[num_batches] = loss
        num_batches += 1
    return distributed.all_reduce(losses[:num_batches]) if num_batches else losses[:0]


def training_step(model: GradientModel, optimizer: Optimizer, device: torch.device) -> Callable[[Any], Tensor]:
    """What trains on a batch, and returns the mean loss of a target of this process's share."""
    compiled_step = model.compiled_step(optimizer) if distributed.world_size() == 1 else None
    return compiled_step or partial(train_batch, model, optimizer, device=device)


def train_batch(model: GradientModel, optimizer: Optimizer, batch: Batch, device: torch.device) -> Tensor:
    """One step of the optimiser; the mean loss of a target of this process's share."""
    optimizer.zero_grad()
    with fast_matmul() if model.fixed_shapes else nullcontext():
        loss = _compute_gradients(model, batch, device)
    distributed.all_reduce_gradients(model.parameters())
    optimizer.step()
    return loss


def nothing_to_train_on(model: Model, log: Log) -> TrainingError:
    """The error for a log without a training example."""
    return TrainingError(
        f"{log.name} has nothing to train {model.name} on: of the {len(log):,} events that it is trained on, no user "
        "has two or more"
    )


def _compute_gradients(model: GradientModel, batch: Batch, device: torch.device) -> Tensor:
    """Back-propagate this process's share of a batch, one micro-batch after the other.

    Their losses are sums over targets, so the gradients of the micro-batches add up to that of the batch.

    Returns:
        The share's part of the mean loss of a target.
    """
    divisor = model.loss_divisor(batch) if model.config.reduction == "mean" else 1
    divisor = max(int(divisor), 1)  # of a batch whose events are no targets
    total_loss = torch.zeros((), device=device)
    share = batch.shard(distributed.process_rank(), distributed.world_size()).to(device)
    for micro_batch in share.slices(model.micro_batch_size):
        loss = model(micro_batch)
        (loss / divisor).backward()
        total_loss += loss.detach()
        del loss  # frees the graph before the next micro-batch builds its own
    return total_loss / batch.num_targets.clamp(min=1).to(device)


def _out_of_patience(training: Training, max_epochs: int) -> bool:
    """Whether the last `max_epochs` epochs, in which validation took place, brought no better metric."""
    validated = any(epoch.metric is not None for epoch in training.epochs)
    return validated and len(training.epochs) - training.best >= max_epochs


def _summary(training: Training) -> str:
    """The state of the training in a few words, for the progress bar."""
    text = f"loss {training.epochs[-1].loss:.4g}"
    metrics = [epoch.metric for epoch in training.epochs if epoch.metric is not None]
    if metrics:
        last, best = (metric_text(validation_figure(metric)) for metric in (metrics[-1], training.metric))
        text += f", validation {last}, best {best} in {training.best}"
    return text
