"""Runs the models of a `Comparison` in worker processes and divides the time among them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from segue.data.log import Log
from segue.errors import ArtefactError, ConfigError
from segue.io import write_text
from segue.reporting.console import Bar, say
from segue.reporting.numbers import seconds_text
from segue.tuning.best_model import check_no_other, is_tested, read_tested, refit_and_test, search_folder
from segue.tuning.budget import Budget
from segue.tuning.comparison_state import ComparisonState
from segue.tuning.entry import Entry
from segue.tuning.report import format_metric, format_settings
from segue.tuning.search import Search
from segue.tuning.trial import Trial, best_trial
from segue.tuning.workers import Message, WorkerPool

SHORTEST = 0.01  # seconds of a search
READY = ("started", 0)  # the first message of a worker
GRACE = 3.0  # seconds that a worker may take to end its search, before it is ended

MakeSearch = Callable[[str, float | None], Search]
Send = Callable[[tuple[str, int]], object]  # a text, and the number of trials that ended with it


@dataclasses.dataclass
class Progress:
    """How far a model has come in this call.

    Attributes:
        max_trials: the number of its trials.
        share: seconds that its trials may take in this call.
        granted: seconds that they may take, with those of earlier calls.
        started: when its running worker was started, as `time.monotonic` tells it; None if none is running.
        end: when that worker is ended at the latest.
        num_reported: the trials of this call that have ended.
        trials: all its trials, once it is tuned.
    """

    max_trials: int
    share: float
    granted: float
    started: float | None = None
    end: float = 0.0
    num_reported: int = 0
    trials: list[Trial] = dataclasses.field(default_factory=list)


class Scheduler:
    """A running comparison: which models wait, which are running, and how much time was spent.

    Args:
        models: their names, in the order in which they are tuned.
        make_search: from the name of a model and a limit on its seconds (None for no limit).
        log: the interaction log.
        state: of the comparison. Finished models in its folder are read.
        budget: the time.
        warnings: what makes the figures of the log doubtful, for results that are read.
    """

    def __init__(
        self,
        models: Iterable[str],
        make_search: MakeSearch,
        log: Log,
        state: ComparisonState,
        *,
        budget: Budget,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self.make_search, self.log, self.state, self.budget, self.warnings = make_search, log, state, budget, warnings
        self.folder = state.folder
        self.finished: dict[str, Entry] = {}
        self.progress: dict[str, Progress] = {}  # of the models whose tuning was started in this call
        models = list(models)
        for name in models:
            check_no_other(self.folder / name)
        self.to_tune = [name for name in models if not self._read_finished(name)]
        self.to_test: list[str] = []

    def run(self, pool: WorkerPool, bar: Bar) -> None:
        """Run until no model waits and no worker is running, or the time is up."""
        for name in self.finished:
            bar.advance(self.make_search(name, None).max_trials)
        try:
            while (self.to_tune or self.to_test or pool.running) and self.budget.remaining > 0:
                self._start_workers(pool)
                for message in pool.messages(self._patience()):
                    if message.kind == "progress":
                        self._handle_progress(message, bar)
                    else:
                        self._handle_end(message)
                self._end_late_workers(pool)
        finally:
            for name in self.progress:
                self._add_spent_time(name)
        self._leave_out_the_rest(pool)

    def entries(self) -> list[Entry]:
        """One entry per model."""
        spent = self.state.spent
        return [
            dataclasses.replace(entry, tuning_seconds=spent.get(entry.model, 0.0)) for entry in self.finished.values()
        ]

    def _start_workers(self, pool: WorkerPool) -> None:
        """Start workers while there is room: a best model to be tested goes before a model to be tuned."""
        while len(pool.running) < self.budget.jobs and (self.to_tune or self.to_test):
            if self.to_test:
                self._start_test(pool)
            else:
                self._start_tuning(pool)

    def _start_test(self, pool: WorkerPool) -> None:
        """Train and test the best of a model; only the deadline ends this: fewer epochs would not be fair."""
        name = self.to_test.pop()
        progress = self.progress[name]
        progress.started, progress.end = time.monotonic(), self.budget.deadline
        search = self.make_search(name, None)
        pool.start(name, refit_and_test_in_worker, search, self.log, progress.trials, self.folder / name)

    def _start_tuning(self, pool: WorkerPool) -> None:
        """Tune the next model for its share of the time."""
        ends = [min(one.end, one.started + one.share) for one in self.progress.values() if one.started is not None]
        share = self.budget.share(len(self.to_tune), ends)
        name = self.to_tune.pop(0)
        granted = self.state.spent.get(name, 0.0) + share
        search = self.make_search(name, max(granted, SHORTEST))
        self.progress[name] = Progress(
            search.max_trials, share, granted, started=time.monotonic(), end=self.budget.deadline
        )
        pool.start(name, tune_in_worker, search, self.log, self.folder / name)

    def _patience(self) -> float:
        """Seconds until the next worker has to be ended."""
        now = time.monotonic()
        return max(0.0, min((one.end for one in self.progress.values() if one.started is not None), default=now) - now)

    def _end_late_workers(self, pool: WorkerPool) -> None:
        """End the workers whose time is up; the trials that a model has finished remain."""
        for name in pool.running:
            if time.monotonic() < self.progress[name].end:
                continue
            pool.stop(name)
            seconds = seconds_text(self._add_spent_time(name))
            trials = self.make_search(name, None).study(self.log, search_folder(self.folder / name)).trials()
            self._tuned(name, trials, reason=f"no validation within the {seconds} s that it had")

    def _leave_out_the_rest(self, pool: WorkerPool) -> None:
        """Leave out what the time did not suffice for, unless an earlier call has a result with fewer trials."""
        minutes = f"the {self.budget.minutes:g} minutes were up"
        for name in pool.running:
            pool.stop(name)
        for names, when in (
            (self.to_tune, "before a first trial"),
            (list(self.progress), "before the last training and the test ended"),
        ):
            for name in names:
                if name not in self.finished and not self._read_finished(name, with_fewer_trials=True):
                    self._leave_out(name, f"{minutes} {when}; give more with --minutes")

    def _handle_progress(self, message: Message, bar: Bar) -> None:
        """Handle a message of a running worker: it is ready, or it has trained an epoch or a trial."""
        progress = self.progress[message.name]
        if message.content == READY:  # its time begins: the process has started and loaded what it needs
            progress.end = min(self.budget.deadline, time.monotonic() + progress.share + GRACE)
            return
        text, trials = message.content
        bar.note(f"{message.name}: {text}")
        progress.num_reported += trials
        if progress.num_reported <= progress.max_trials:  # trials that are continued are reported again
            bar.advance(trials)

    def _handle_end(self, message: Message) -> None:
        """Handle the last message of a worker: a tuned model, a tested model, or a failure."""
        name = message.name
        self._add_spent_time(name)
        if message.kind == "failed":
            self._leave_out(name, message.content)
            if message.details:
                write_text(self.folder / f"{name}.error.txt", message.details)
        elif isinstance(message.content, list):
            self._tuned(name, message.content)
        elif self._read_finished(name, with_fewer_trials=True):
            entry = self.finished[name]
            settings = format_settings(entry.about["search"]["trial"]["settings"])
            metric, seconds = format_metric(entry.validation_metric), seconds_text(self.state.spent[name])
            say(f"{name}: {metric} on validation, tuned and tested in {seconds} s {settings}".rstrip())
        else:
            self._leave_out(name, "its saved result is damaged; run the same command again")

    def _tuned(self, name: str, trials: list[Trial], reason: str = "") -> None:
        """Let a tuned model wait for its test, or leave it out if the time did not suffice for a validation."""
        late = [trial.error for trial in trials if trial.state == "timed_out"]
        if best_trial(trials) is None and (late or reason):
            self._leave_out(name, f"{reason or late[0]}; give more with --minutes")
        else:
            self.progress[name].trials = trials
            self.to_test.append(name)

    def _leave_out(self, name: str, reason: str) -> None:
        self.finished[name] = Entry(name, reason=reason)
        say(f"{name} is left out: {reason}")

    def _add_spent_time(self, name: str) -> float:
        """Add the seconds of the running worker of a model to what was spent; returns them."""
        started, self.progress[name].started = self.progress[name].started, None
        if started is None:
            return 0.0
        seconds = time.monotonic() - started
        self.state.add(name, seconds)
        return seconds

    def _read_finished(self, name: str, *, with_fewer_trials: bool = False) -> bool:
        """Read the result of a model that was tuned with as many trials, and tested, in this call or before.

        Args:
            name: of the model.
            with_fewer_trials: also read the result if it had fewer trials, as the time was up.

        Returns:
            False if there is no such result.
        """
        search, path = self.make_search(name, None), self.folder / name
        try:
            result, about = read_tested(search_folder(path) / "result.npz")
        except ArtefactError:
            return False
        if "experiment" not in about:
            raise ConfigError(
                f"{path}: was written by an older version of segue; delete {self.folder}, "
                "or choose another folder with -o"
            )
        expected = {k: v for k, v in search.experiment.as_dict().items() if k not in ("settings", "protocol")}
        same = {key: about["experiment"].get(key) for key in expected} == expected
        enough = with_fewer_trials or about["search"]["trials"] >= search.max_trials
        if not (same and enough and is_tested(path, about)):
            return False
        about = {**about, "search": {**about["search"], "of": search.max_trials}}
        self.finished[name] = Entry(name, dataclasses.replace(result, warnings=self.warnings), about)
        return True


def tune_in_worker(search: Search, log: Log, path: Path, *, send: Send) -> list[Trial]:
    """Run the trials of one model; a worker function."""
    send(READY)
    return search.run_trials(
        log,
        search_folder(path),
        on_trial=lambda text: send((text, 1)),
        on_validation=lambda text: send((text, 0)),
    )


def refit_and_test_in_worker(search: Search, log: Log, trials: list[Trial], path: Path, *, send: Send) -> str:
    """Train and test the best model of a search and save it to `path`; a worker function.

    It runs in a process of its own, whose peak memory is then that of this model.
    """
    send(("training and testing the best", 0))
    refit_and_test(search, log, trials, path)
    return str(path)
