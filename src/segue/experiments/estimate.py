"""`estimate`: how long an experiment will take, and how much memory, from a few seconds of its real work.

    an epoch     all its batches are made, and the model is trained on the first ones; targets count
    a fit        the model is fitted to the events of some users; events count. One that learns weights from examples
                 after it has counted counts all events, and learns from some examples; examples count
    a ranking    the model ranks for some users of the validation and of the test; instances count
    retrain      a model is trained anew for each hour or day of the test; rows count
    memory       this work has the model, the optimiser, the log and the blocks of the run, so its peak is theirs

The model is a new one, which is thrown away. Nothing is written, and the random state of the caller stays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from segue.data.log import Log
from segue.data.splits import Split
from segue.experiments.experiment import Experiment
from segue.experiments.measured_work import Measured, measure_evaluation, measure_training
from segue.experiments.retrained import rows_before_retrainings
from segue.experiments.samples import Time, take_samples
from segue.models.base.model import GradientModel, Model
from segue.resource_usage import largest, peak_memory_mb, stopwatch

LIMIT = 2.0  # CPU seconds of each kind of work


@dataclass(frozen=True)
class PartOfRun:
    """A part of a run that is done once or several times.

    Attributes:
        name: what is done.
        time: what doing it once takes.
        least: how often it is done at least.
        most: how often it is done at most.
        once: whether several seeds share it.
    """

    name: str
    time: Time
    least: int = 1
    most: int = 1
    once: bool = False

    def repeated(self, times: int) -> PartOfRun:
        """The same, done so many times as often, if it is not shared."""
        return self if self.once else replace(self, least=self.least * times, most=self.most * times)


@dataclass(frozen=True)
class Estimate:
    """What a run is expected to take.

    Attributes:
        parts: in the order in which they are done.
        peak_mb: the peak memory of the process; None where the operating system does not report it.
    """

    parts: tuple[PartOfRun, ...]
    peak_mb: int | None

    @property
    def least(self) -> Time:
        """The time if training stops as early as it can."""
        return sum((part.time * part.least for part in self.parts), Time())

    @property
    def most(self) -> Time:
        """The time if all epochs are trained."""
        return sum((part.time * part.most for part in self.parts), Time())

    @property
    def dominant(self) -> PartOfRun:
        """The part that takes most of the time."""
        return max(self.parts, key=lambda part: part.time.cpu_seconds * part.most)

    def repeated(self, times: int) -> Estimate:
        """The same with so many seeds."""
        return Estimate(tuple(part.repeated(times) for part in self.parts), self.peak_mb)

    def as_one_part(self, name: str) -> PartOfRun:
        """All of it as one part of another run, with all epochs."""
        return PartOfRun(name, self.most)

    def followed_by(self, *parts: PartOfRun, peak_mb: int | None) -> Estimate:
        """The same with more parts, during which the process has its own peak."""
        return Estimate((*self.parts, *parts), largest(self.peak_mb, peak_mb))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        parts = [{"part": one.name, "least": one.least, "most": one.most, **vars(one.time)} for one in self.parts]
        return {"parts": parts, "least": vars(self.least), "most": vars(self.most), "peak_mb": self.peak_mb}


def estimate(experiment: Experiment, log: Log, *, limit: float = LIMIT) -> Estimate:
    """What `experiment.run(log)` will take.

    Args:
        experiment: what would be run.
        log: the log.
        limit: CPU seconds after which an epoch, a fit or a ranking is extrapolated.
    """
    with stopwatch() as watch:
        split = experiment.split(log)
        experiment.warnings(split)
    model = experiment.build(log)
    training = measure_training(model, split.train, experiment.seed, limit)
    loading = training.loading
    epochs, best = _epochs(experiment, model, split)
    anew = rows_before_retrainings(experiment.protocol, split)
    trainings = 1 + experiment.refit + experiment.final + len(anew)
    parts = [PartOfRun("epoch" if model.trained_by_gradient else "fit", training.time, *epochs)]
    parts += _after_epochs(model, split.train, experiment, limit, epochs, trainings)
    if anew:
        one = _with_more_rows("training anew in the test", training, split, sum(anew) / len(anew), best)
        parts.append(one.repeated(len(anew)))
    if experiment.protocol.trains_anew:
        experiment = replace(experiment, protocol=experiment.protocol.with_settings({"retrain": "never"}))
    weights = 0.0
    if model.trained_by_gradient and len(experiment.protocol.instances(split, "valid")):
        least, most = (-(-number // experiment.eval_every) for number in epochs)
        validation = measure_evaluation(experiment, model, split, "valid", limit, times=most)
        parts.append(PartOfRun("validation", validation.time, least, most))
        loading += validation.loading
        weights = sum(tensor.nbytes for tensor in model.state_dict().values()) / 1e6  # those of the best epoch
    test = measure_evaluation(experiment, model, split, "test", limit)
    if experiment.refit:
        parts.append(_with_more_rows("refit", training, split, len(split.train_valid), best))
    parts.append(PartOfRun("test", test.time))
    if experiment.final:
        parts.append(replace(_with_more_rows("fit on the whole log", training, split, len(log), best), once=True))
    peak = largest(peak_memory_mb(), training.peak_mb, test.peak_mb)
    first = (PartOfRun("loading code", loading + test.loading, once=True), PartOfRun("split, checks", Time.of(watch)))
    return Estimate((*first, *parts), None if peak is None else round(peak + weights))


def estimate_fit(experiment: Experiment, log: Log, *, limit: float = LIMIT) -> Estimate:
    """What `experiment.fit_whole(log)` will take; the arguments are those of `estimate`."""
    model = experiment.build(log)
    training = measure_training(model, log, experiment.seed, limit)
    times = model.config.epochs if isinstance(model, GradientModel) else 1
    name = "epoch" if model.trained_by_gradient else "fit"
    parts = [PartOfRun("loading code", training.loading, once=True), PartOfRun(name, training.time, times, times)]
    parts += _after_epochs(model, log, experiment, limit, (times, times), 1)
    return Estimate(tuple(parts), largest(peak_memory_mb(), training.peak_mb))


def _after_epochs(
    model: Model, rows: Log, experiment: Experiment, limit: float, epochs: tuple[int, int], trainings: int
) -> list[PartOfRun]:
    """What trainings do beside the steps of their epochs: fits of parts, and what is learnt after each epoch.

    Later trainings fit the parts again, to more rows; this is not in proportion, and counts as if there were no more.
    """
    if not isinstance(model, GradientModel):
        return []
    parts = []
    for part in model.fitted_once():
        fit = measure_training(part, rows, experiment.seed, limit)
        parts.append(PartOfRun(f"fit of {part.name}", fit.time, trainings, trainings))
    learning = model.learnt_each_epoch(rows)
    if learning is not None:
        learn, number = learning
        samples = take_samples(learn, int, number, limit)
        parts.append(PartOfRun("learning after an epoch", samples.time(number), *epochs))
    return parts


def _epochs(experiment: Experiment, model: Model, split: Split) -> tuple[tuple[int, int], tuple[int, int]]:
    """How many epochs are trained at least and at most, and the number of the best one at least and at most."""
    if not isinstance(model, GradientModel):
        return (1, 1), (1, 1)
    most = model.config.epochs
    if not len(experiment.protocol.instances(split, "valid")):
        return (most, most), (most, most)
    first = min(most, experiment.eval_every)
    return (min(most, first + experiment.eval_every * experiment.patience), most), (first, most)


def _with_more_rows(name: str, training: Measured, split: Split, rows: float, times: tuple[int, int]) -> PartOfRun:
    """The same training on more rows; an epoch or a fit takes longer in proportion."""
    return PartOfRun(name, training.time * (rows / len(split.train)), *times)
