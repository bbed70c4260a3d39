"""Runs the models of a `Comparison` in worker processes and divides the time among them."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segue.data.log import Log
from segue.errors import ArtefactError, ConfigError
from segue.evaluation import result_files
from segue.evaluation.table import Result
from segue.io import write_json
from segue.reporting.console import Bar, say
from segue.tuning.best_model import refit_and_test, search_folder
from segue.tuning.report import format_metric, format_settings
from segue.tuning.search import Search
from segue.tuning.trial import Trial
from segue.tuning.workers import Message, WorkerPool

MakeSearch = Callable[[str, float], Search]
Send = Callable[[tuple[str, int]], object]  # a text, and the number of trials that ended with it


@dataclass(frozen=True, eq=False)
class Entry:
    """The outcome of one model.

    Attributes:
        model: its name.
        result: the test result of its best trial; None if the model was left out.
        about: plain values about the best model: experiment, training, search, cost.
        tuning_seconds: time of its trials and of the final training.
        reason: why the model was left out.
    """

    model: str
    result: Result | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    tuning_seconds: float = 0.0
    reason: str = ""

    @property
    def validation_metric(self) -> float:
        """The validation metric of the best trial."""
        return float(self.about["search"]["trial"]["metric"])


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
        seconds: time budget, summed over processes.
        jobs: number of processes at a time.
    """

    def __init__(
        self,
        models: Iterable[str],
        make_search: MakeSearch,
        log: Log,
        state: ComparisonState,
        *,
        seconds: float,
        jobs: int,
    ) -> None:
        self.make_search, self.log, self.state, self.seconds, self.jobs = make_search, log, state, seconds, jobs
        self.folder = state.folder
        self.finished: dict[str, Entry] = {}
        self.to_test: dict[str, list[Trial]] = {}  # trials of models that are tuned and wait for their test
        self.granted: dict[str, float] = {}  # seconds
        self.started: dict[str, float] = {}
        self.to_tune = [name for name in models if not self._read_finished(name)]

    def run(self, pool: WorkerPool, bar: Bar) -> None:
        """Run until no model waits and no worker is running."""
        num_trials: dict[str, int] = {}
        for name in self.finished:
            bar.advance(self.make_search(name, 1.0).max_trials)
        try:
            while self.to_tune or self.to_test or pool.running:
                self._start_workers(pool)
                for message in pool.messages():
                    if message.kind == "progress":
                        text, trials = message.content
                        total = num_trials[message.name] = num_trials.get(message.name, 0) + trials
                        bar.note(f"{message.name}: {text}")
                        bar.advance(trials * (total <= self.make_search(message.name, 1.0).max_trials))
                    else:
                        self._handle_end(message)
        finally:
            for name in list(self.started):
                self._add_spent_time(name)

    def entries(self) -> list[Entry]:
        """One entry per model."""
        spent = self.state.spent
        return [
            dataclasses.replace(entry, tuning_seconds=spent.get(entry.model, 0.0)) for entry in self.finished.values()
        ]

    def _start_workers(self, pool: WorkerPool) -> None:
        """Start workers while there is room: a best model to be tested goes before a model to be tuned."""
        spent = self.state.spent
        while len(pool.running) < self.jobs and (self.to_tune or self.to_test):
            if self.to_test:
                name, trials = self.to_test.popitem()
                search = self.make_search(name, self.granted[name])
                pool.start(name, refit_and_test_in_worker, search, self.log, trials, self.folder / name)
            else:
                remaining = self.seconds - sum(spent.values())
                remaining -= sum(self.granted[other] - spent.get(other, 0.0) for other in pool.running)
                share = max(1.0, remaining / len(self.to_tune))
                name = self.to_tune.pop(0)
                self.granted[name] = spent.get(name, 0.0) + share
                search = self.make_search(name, self.granted[name])
                pool.start(name, tune_in_worker, search, self.log, self.folder / name)
            self.started[name] = time.monotonic()

    def _handle_end(self, message: Message) -> None:
        """Handle the last message of a worker: a tuned model, a tested model, or a failure."""
        name = message.name
        self._add_spent_time(name)
        if message.kind == "failed":
            self._leave_out(name, message.content)
            if message.details:
                (self.folder / f"{name}.error.txt").write_text(message.details, encoding="utf-8")
        elif isinstance(message.content, list):
            self.to_test[name] = message.content
        elif self._read_finished(name):
            entry = self.finished[name]
            settings = format_settings(entry.about["search"]["trial"]["settings"])
            metric, seconds = format_metric(entry.validation_metric), self.state.spent[name]
            say(f"{name}: {metric} on validation, tuned and tested in {seconds:.0f} s {settings}".rstrip())
        else:
            self._leave_out(name, "its saved result is damaged; run the same command again")

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
        self.finished[name] = Entry(name, result, about)
        return True


def tune_in_worker(search: Search, log: Log, path: Path, *, send: Send) -> list[Trial]:
    """Run the trials of one model; a worker function."""
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
