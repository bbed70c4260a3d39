"""The parts of a training or an evaluation that are really done, so that the whole can be estimated."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch

from segue.data.log import Log, distinct
from segue.data.splits import Part, Split
from segue.errors import DataError
from segue.experiments.experiment import Experiment
from segue.experiments.samples import Sample, Samples, Time, take_samples
from segue.models.base.model import DirectModel, GradientModel, Model
from segue.nn.compiled.loop import repeated_work, training_size
from segue.nn.memory import keep_freed_memory
from segue.resource_usage import PeakMemory, largest, peak_memory_mb, stopwatch
from segue.training.loop import nothing_to_train_on, training_step


@dataclass(frozen=True)
class Measured:
    """What some work takes as a whole.

    Attributes:
        time: that of all of it.
        loading: what libraries take that it loads once.
        peak_mb: the peak memory of the process; None if it is unknown.
    """

    time: Time
    loading: Time
    peak_mb: int | None

    @classmethod
    def of(cls, samples: Samples, size: int) -> Measured:
        """The whole of some work, from samples of it."""
        return cls(samples.time(size), samples.loading, samples.peak_mb(size))


def measure_training(model: Model, rows: Log, seed: int, limit: float) -> Measured:
    """What an epoch of a model, or fitting it, takes. The model is trained a little.

    Args:
        model: an untrained model.
        rows: the training events.
        seed: of the training.
        limit: CPU seconds after which the rest is extrapolated.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(model, DirectModel):
            return _measure_learning(model, rows, limit) or _measure_users(model.fit, rows, limit)
        assert isinstance(model, GradientModel)
        own_epoch = model.own_epoch()
        with training_size(len(rows) * model.config.epochs):
            if own_epoch:
                return _measure_users(lambda part: own_epoch(part, np.random.default_rng(seed)), rows, limit)
            return _measure_epoch(model, rows, seed, limit)


def measure_evaluation(
    experiment: Experiment, model: Model, split: Split, part: Part, limit: float, *, times: int = 1
) -> Measured:
    """What the evaluation of a held-out part takes, with all metrics for the test, and one for the validation.

    Args:
        experiment: whose model is evaluated.
        model: a model, trained or not.
        split: of the log.
        part: "valid" or "test".
        limit: CPU seconds after which the rest is extrapolated.
        times: how often the run does it, on which it depends whether loops are compiled.
    """
    protocol, instances = experiment.protocol, experiment.protocol.instances(split, part)
    setting = "sample_users" if part == "valid" else "sample_test_users"
    metrics = (experiment.monitor,) if part == "valid" else None

    def evaluate(users: int) -> None:
        with suppress(DataError):  # few users may have no target that is new to them
            protocol.with_settings({setting: users}).evaluate(model, split, part, metrics)

    def size(users: int) -> int:
        return len(protocol.with_settings({setting: users}).instances(split, part))

    with torch.random.fork_rng(devices=[]), repeated_work(times):
        samples = take_samples(evaluate, size, len(distinct(instances.user)), limit)
    return Measured.of(samples, len(instances))


def _measure_learning(model: DirectModel, rows: Log, limit: float) -> Measured | None:
    """What fitting a model takes that learns weights after it has counted: all is counted, and a part is learnt."""
    with PeakMemory() as memory, stopwatch() as watch:
        learning = model.learning(rows)
    if learning is None:
        return None
    learn, num_examples = learning
    samples = take_samples(learn, int, num_examples, limit)
    peak = largest(memory.mb, samples.taken[-1].peak_mb)  # more examples are more batches, not larger ones
    return Measured(Time.of(watch) + samples.time(num_examples), samples.loading, peak)


def _measure_users(train: Callable[[Log], object], rows: Log, limit: float) -> Measured:
    """What training on all users at once takes, from some of them."""
    known = np.random.default_rng(0).permutation(np.flatnonzero(rows.lengths > 0))

    def train_on(users: int) -> None:
        stop = rows.start.copy()
        stop[known[:users]] = rows.stop[known[:users]]
        train(rows.until(stop) if users < len(known) else rows)

    def size(users: int) -> int:
        return int(rows.lengths[known[:users]].sum())

    return Measured.of(take_samples(train_on, size, len(known), limit), len(rows))


def _measure_epoch(model: GradientModel, rows: Log, seed: int, limit: float) -> Measured:
    """All batches of an epoch are made, and the model is trained on the first ones; those that load code count once."""
    optimizer, device = model.optimizer(), next(model.parameters()).device
    model.train()
    keep_freed_memory()
    steps: list[Sample] = []  # since code was loaded for the last time; the size is the number of targets
    loading: list[Sample] = []
    trained, num_targets, num_batches, train = Time(), 0, 0, None
    spent = 0.0  # CPU seconds of `steps`
    with stopwatch() as whole:
        for batch in model.batches(rows, np.random.default_rng((seed, 1))):
            num_batches, num_targets = num_batches + 1, num_targets + int(batch.num_targets)
            if spent >= limit:
                continue
            modules = len(sys.modules)
            with stopwatch() as watch:
                train = train or training_step(model, optimizer, device)  # which may load code
                train(batch)
            step = Sample(int(batch.num_targets), Time.of(watch), None)
            trained += step.time
            if num_batches == 1 or len(sys.modules) > modules:
                loading, steps, spent = [*loading, step], [], 0.0
            else:
                steps.append(step)
                spent += step.time.cpu_seconds
    if not num_batches:
        raise nothing_to_train_on(model, rows)
    usual = steps or loading[-1:]  # where one batch is an epoch
    per_target = sum((step.time for step in usual), Time()) * (1 / max(sum(step.size for step in usual), 1))
    making = Time.of(whole).beyond(trained)
    loaded = sum((step.time.beyond(per_target * step.size) for step in loading), Time())
    return Measured(making + per_target * num_targets, loaded, peak_memory_mb())
