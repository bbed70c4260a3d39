"""Runs the models of a `Comparison` in worker processes and divides the time among them."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from segue.data.log import Log
from segue.errors import ArtefactError, ConfigError
from segue.evaluation import result_files
from segue.io import write_json
from segue.reporting.console import Bar, say
from segue.reporting.numbers import seconds_text
from segue.tuning.best_model import refit_and_test, search_folder
from segue.tuning.budget import Budget
from segue.tuning.entry import Entry
from segue.tuning.report import format_metric, format_settings
from segue.tuning.search import Search
from segue.tuning.trial import Trial, best_trial
from segue.tuning.workers import Message, WorkerPool

SHORTEST = 0.01  # seconds of a search
READY = ("started", 0)  # the first message of a worker
GRACE = 3.0  # seconds that a worker may take to end its search, before it is ended

MakeSearch = Callable[[str, float], Search]
Send = Callable[[tuple[str, int]], object]  # a text, and the number of trials that ended with it


class ComparisonState:
    """The file `compare.json`: the log, the protocol, and the seconds spent on each model.

    Raises:
        ConfigError: the folder holds another comparison.
        ArtefactError: the file is damaged, or the folder holds something else.
    """

    def __init__(self, folder: Path, identity: Mapping[str, str]) -> None:
        self.folder, self.path, self.identity = folder, folder / "compare.json", dict(identity)
        self.spent: dict[str, float] = {}
        if self.path.exists():
            self._read()
        elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ArtefactError(f"{folder}: is there and is not a comparison; choose another folder with -o")
        folder.mkdir(parents=True, exist_ok=True)
        self._write()

    def add(self, name: str, seconds: float) -> None:
        """Add the seconds that were spent on a model."""
        self.spent[name] = self.spent.get(name, 0.0) + seconds
        self._write()

    def _read(self) -> None:
        try:
            stored = json.loads(self.path.read_text(encoding="utf-8"))
            self.spent = {str(name): float(seconds) for name, seconds in stored.pop("spent").items()}
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise ArtefactError(f"{self.path}: damaged ({error}); delete {self.folder} to start afresh") from error
        different = [key for key, value in self.identity.items() if stored.get(key) != value]
        if different:
            what = " and ".join(different)
            raise ConfigError(f"{self.folder}: holds a comparison with another {what}; choose another folder with -o")

    def _write(self) -> None:
        write_json(self.path, {**self.identity, "spent": self.spent})


class Scheduler:
    """A running comparison: which models wait, which are running, and how much time was spent.

    Args:
        models: their names, in the order in which they are tuned.
        make_search: from the name of a model and a limit on its seconds.
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
        self.to_test: dict[str, list[Trial]] = {}  # trials of models that are tuned and wait for their test
        self.shares: dict[str, float] = {}  # seconds of each model in this call
        self.granted: dict[str, float] = {}  # with those of earlier calls
        self.started: dict[str, float] = {}
        self.ends: dict[str, float] = {}  # when each running worker is ended at the latest
        self.to_tune = [name for name in models if not self._read_finished(name)]

    def run(self, pool: WorkerPool, bar: Bar) -> None:
        """Run until no model waits and no worker is running, or the time is up."""
        num_trials: dict[str, int] = {}
        for name in self.finished:
            bar.advance(self.make_search(name, 1.0).max_trials)
        try:
            while (self.to_tune or self.to_test or pool.running) and self.budget.remaining > 0:
                self._start_workers(pool)
                for message in pool.messages(self._patience()):
                    if message.kind == "progress" and message.content == READY:
                        self._count_from_now(message.name)
                    elif message.kind == "progress":
                        text, trials = message.content
                        total = num_trials[message.name] = num_trials.get(message.name, 0) + trials
                        bar.note(f"{message.name}: {text}")
                        bar.advance(trials * (total <= self.make_search(message.name, 1.0).max_trials))
                    else:
                        self._handle_end(message)
                self._end_late_workers(pool)
        finally:
            for name in list(self.started):
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
            self._start_test(pool) if self.to_test else self._start_tuning(pool)

    def _start_test(self, pool: WorkerPool) -> None:
        name, trials = self.to_test.popitem()
        search = self.make_search(name, self.granted[name])
        self.started[name], self.ends[name] = time.monotonic(), self.budget.deadline
        pool.start(name, refit_and_test_in_worker, search, self.log, trials, self.folder / name)

    def _start_tuning(self, pool: WorkerPool) -> None:
        ends = [min(self.ends[other], self.started[other] + self.shares[other]) for other in pool.running]
        share = self.budget.share(len(self.to_tune), ends)
        name = self.to_tune.pop(0)
        self.shares[name], self.granted[name] = share, self.state.spent.get(name, 0.0) + share
        search = self.make_search(name, max(self.granted[name], SHORTEST))
        self.started[name], self.ends[name] = time.monotonic(), self.budget.deadline
        pool.start(name, tune_in_worker, search, self.log, self.folder / name)

    def _count_from_now(self, name: str) -> None:
        """Let the time of a worker begin: its process has started and loaded what it needs."""
        self.ends[name] = min(self.budget.deadline, time.monotonic() + self.shares[name] + GRACE)

    def _patience(self) -> float:
        """Seconds until the next worker has to be ended."""
        now = time.monotonic()
        return max(0.0, min((self.ends[name] for name in self.started), default=now) - now)

    def _end_late_workers(self, pool: WorkerPool) -> None:
        """End the workers whose time is up; the trials that a model has finished remain."""
        for name in pool.running:
            if time.monotonic() < self.ends[name]:
                continue
            pool.stop(name)
            seconds = seconds_text(time.monotonic() - self.started[name])
            self._add_spent_time(name)
            search = self.make_search(name, self.granted[name])
            trials = search.study(self.log, search_folder(self.folder / name)).trials()
            self._tuned(name, trials, reason=f"no validation within the {seconds} s that it had")

    def _leave_out_the_rest(self, pool: WorkerPool) -> None:
        """Leave out what the time did not suffice for, unless an earlier call has a result with fewer trials."""
        minutes = f"the {self.budget.minutes:g} minutes were up"
        for name in pool.running:
            pool.stop(name)
        for names, when in (
            (self.to_tune, "before a first trial"),
            ([*self.to_test, *self.ends], "before the last training and the test ended"),
        ):
            for name in names:
                self.granted.setdefault(name, 0.0)
                if name not in self.finished and not self._read_finished(name):
                    self._leave_out(name, f"{minutes} {when}; give more with --minutes")

    def _handle_end(self, message: Message) -> None:
        """Handle the last message of a worker: a tuned model, a tested model, or a failure."""
        name = message.name
        self._add_spent_time(name)
        if message.kind == "failed":
            self._leave_out(name, message.content)
            if message.details:
                (self.folder / f"{name}.error.txt").write_text(message.details, encoding="utf-8")
        elif isinstance(message.content, list):
            self._tuned(name, message.content)
        elif self._read_finished(name):
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
            self.to_test[name] = trials

    def _leave_out(self, name: str, reason: str) -> None:
        self.finished[name] = Entry(name, reason=reason)
        say(f"{name} is left out: {reason}")

    def _add_spent_time(self, name: str) -> None:
        self.state.add(name, time.monotonic() - self.started.pop(name))

    def _read_finished(self, name: str) -> bool:
        """Read the result of a model that was tuned with as many trials, and tested, in this call or before.

        Returns:
            False if there is no such result.
        """
        search, path = self.make_search(name, 1.0), self.folder / name
        try:
            result, about = result_files.read(search_folder(path) / "result.npz")
        except ArtefactError:
            return False
        if "experiment" not in about:
            raise ConfigError(
                f"{path}: was written by an older version of segue; delete {self.folder}, "
                "or choose another folder with -o"
            )
        expected = {k: v for k, v in search.experiment.as_dict().items() if k not in ("settings", "protocol")}
        same = {key: about["experiment"].get(key) for key in expected} == expected
        enough = name in self.granted or about["search"]["trials"] >= search.max_trials
        if not (same and enough and (path / "model.json").is_file()):
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
