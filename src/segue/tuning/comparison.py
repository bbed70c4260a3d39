"""`Comparison`: every model tuned alike on one log, the winner of each tested once, one ranking.

    ml-100k/
      compare.json          what is compared, and the seconds that each model has had
      hgn/  hgn.search/     the best HGN, ready to serve, and its trials
      sasrec/ ...

Alike means: as many trials for each, the same cap on seconds, each over the space that its model declares, chosen by
the same metric on validation. The cap is what is left of all the time, shared among the models that are still to come;
so what a model does not need, the later ones get. Models that count come first, as they need little. Each is tuned, and
then trained and tested, in a process of its own: that gives its peak memory, and keeps its failure to itself.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segue.data.log import Log
from segue.errors import ArtefactError, ConfigError, TrainingError, require
from segue.evaluation import result_files as archive
from segue.evaluation.metrics import measure
from segue.evaluation.protocol import Protocol, RatingProtocol
from segue.evaluation.table import Result
from segue.experiments.experiment import Experiment
from segue.io import write_json
from segue.models.base.model import DirectModel
from segue.models.registry import find
from segue.reporting.console import Bar, progress, say
from segue.tuning.best_model import conclude, study_of
from segue.tuning.importance import short, shown
from segue.tuning.search import Search
from segue.tuning.study import need_optuna
from segue.tuning.trial import Trial
from segue.tuning.workers import Message, WorkerPool


@dataclass(frozen=True, eq=False)
class Entry:
    """What became of one model.

    Attributes:
        model: its name.
        result: of the winner of its trials, on the test; None where it was left out.
        about: of the winner: recipe, training, search, cost.
        tuning: seconds that its trials and its last training took.
        reason: why it was left out.
    """

    model: str
    result: Result | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    tuning: float = 0.0
    reason: str = ""

    @property
    def validation(self) -> float:
        """The metric on validation that chose it."""
        return float(self.about["search"]["trial"]["metric"])


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What is compared, and how long.

    Attributes:
        models: names in `MODELS`, or classes outside segue such as `./fmc.py:FMC`.
        protocol: how all are measured.
        trials: of each model; fewer where its space has fewer points.
        minutes: for everything; each trial has one look at validation whatever it takes.
        jobs: processes at a time, each with its share of the cores.
        seed: of the settings that are proposed and of every training.
        monitor: the validation metric that chooses epochs, settings, and the model to serve.
        eval_every: epochs between two looks at validation.
        patience: looks without progress before a training stops.
        refit: whether each winner is trained anew on train and validation.
    """

    models: tuple[str, ...]
    protocol: Protocol
    trials: int = 10
    minutes: float = 40.0
    jobs: int = 1
    seed: int = 0
    monitor: str = "ndcg@10"
    eval_every: int = 1
    patience: int = 10
    refit: bool = False

    def __post_init__(self) -> None:
        require(len(self.models) > 0, "no model to compare")
        require(
            not isinstance(self.protocol, RatingProtocol),
            f"{self.protocol.name}: a comparison ranks items, this protocol predicts ratings; run each model by it: "
            f"segue run mf DATA --protocol {self.protocol.name} shows means and biases beside it",
        )
        require(self.minutes > 0, f"minutes={self.minutes}: must be above 0")
        require(self.jobs >= 1, f"jobs={self.jobs}: must be at least 1")
        require(len(self.references) == len(self.models), "two of the models have the same name; name each model once")
        for name in self.references:
            self.search(name, 1.0)

    @property
    def references(self) -> dict[str, str]:
        """The name of each model's class, and how `models` refers to it."""
        return {find(model).name: model for model in self.models}

    def search(self, name: str, seconds: float) -> Search:
        """The search for the settings of one model."""
        recipe = Experiment(
            model=self.references[name],
            protocol=self.protocol,
            seed=self.seed,
            monitor=self.monitor,
            eval_every=self.eval_every,
            patience=self.patience,
            refit=self.refit,
        )
        return Search(recipe=recipe, space=find(recipe.model).space, trials=self.trials, seconds=seconds)

    def run(self, log: Log, folder: Path) -> list[Entry]:
        """Tune, train and test every model; the same call goes on where it was interrupted.

        Returns:
            The best on the test first; behind them those that were left out.

        Raises:
            ConfigError: `folder` holds another comparison, or optuna is not installed.
            DataError: the log leaves nothing to train on, to choose by, or to ask.
            TrainingError: every model was left out.
        """
        need_optuna()
        self.search(self.ordered[0], 1.0).split(log)  # a log that fits nobody
        course = _Course(self, log, folder)
        total = sum(self.search(name, 1.0).most for name in self.references)
        with WorkerPool(self.jobs) as crew, progress("comparing", total=total, unit="trials") as bar:
            course.run(crew, bar)
        entries = course.entries()
        if all(entry.result is None for entry in entries):
            raise TrainingError(f"no model could be compared; {entries[0].model}: {entries[0].reason}")
        return sorted(entries, key=lambda entry: -_tested(entry, self.monitor))

    @property
    def ordered(self) -> list[str]:
        """The models, those that count first."""
        kinds = self.references
        return sorted(kinds, key=lambda name: not issubclass(find(kinds[name]), DirectModel))


class _Course:
    """A comparison under way: who is to come, who is at work, what was spent."""

    def __init__(self, plan: Comparison, log: Log, folder: Path) -> None:
        self.plan, self.log, self.folder = plan, log, folder
        self.state = _State(folder, {"log": log.fingerprint, "protocol": plan.protocol.fingerprint})
        self.found: dict[str, Entry] = {}
        self.to_test: dict[str, list[Trial]] = {}
        self.granted: dict[str, float] = {}
        self.begun: dict[str, float] = {}
        self.to_come = [name for name in plan.ordered if not self._recall(name)]

    def run(self, crew: WorkerPool, bar: Bar) -> None:
        """Until nobody is to come and nobody at work."""
        told: dict[str, int] = {}
        for name in self.found:
            bar.advance(self.plan.search(name, 1.0).most)
        try:
            while self.to_come or self.to_test or crew.names:
                self._start(crew)
                for news in crew.news():
                    if news.kind == "told":
                        words, trials = news.content
                        told[news.name] = told.get(news.name, 0) + trials
                        bar.note(f"{news.name}: {words}")
                        bar.advance(trials * (told[news.name] <= self.plan.search(news.name, 1.0).most))
                    else:
                        self._end(news)
        finally:
            for name in list(self.begun):
                self._spent(name)

    def entries(self) -> list[Entry]:
        """One of each model."""
        return [dataclasses.replace(e, tuning=self.state.spent.get(e.model, 0.0)) for e in self.found.values()]

    def _start(self, crew: WorkerPool) -> None:
        """Give work to those who are free: a winner to be tested goes before a model to be tuned."""
        while len(crew.names) < self.plan.jobs and (self.to_come or self.to_test):
            if self.to_test:
                name, trials = self.to_test.popitem()
                search = self.plan.search(name, self.granted[name])
                crew.start(name, test, search, self.log, trials, self.folder / name)
            else:
                left = 60 * self.plan.minutes * self.plan.jobs - sum(self.state.spent.values())
                left -= sum(self.granted[other] - self.state.spent.get(other, 0.0) for other in crew.names)
                share = max(1.0, left / len(self.to_come))
                name = self.to_come.pop(0)
                self.granted[name] = self.state.spent.get(name, 0.0) + share
                crew.start(name, tune, self.plan.search(name, self.granted[name]), self.log, self.folder / name)
            self.begun[name] = time.monotonic()

    def _end(self, news: Message) -> None:
        """Somebody has tuned or tested a model, or has failed."""
        name = news.name
        self._spent(name)
        if news.kind == "failed":
            self._leave_out(name, news.content)
            if news.details:
                (self.folder / f"{name}.error.txt").write_text(news.details, encoding="utf-8")
        elif isinstance(news.content, list):
            self.to_test[name] = news.content
        elif self._recall(name):
            entry = self.found[name]
            settings = shown(entry.about["search"]["trial"]["settings"])
            took = self.state.spent[name]
            say(
                f"{name}: {short(entry.validation)} on validation, tuned and tested in {took:.0f} s {settings}".rstrip()
            )
        else:
            self._leave_out(name, "what was saved of it is damaged; give the same command again")

    def _leave_out(self, name: str, reason: str) -> None:
        self.found[name] = Entry(name, reason=reason)
        say(f"{name} is left out: {reason}")

    def _spent(self, name: str) -> None:
        self.state.spend(name, time.monotonic() - self.begun.pop(name))

    def _recall(self, name: str) -> bool:
        """Whether a model was tuned with as many trials and tested, now or before."""
        search, place = self.plan.search(name, 1.0), self.folder / name
        try:
            result, about = archive.read(study_of(place) / "result.npz")
        except ArtefactError:
            return False
        wanted = {key: value for key, value in search.recipe.as_dict().items() if key not in ("settings", "protocol")}
        same = {key: about["recipe"].get(key) for key in wanted} == wanted
        enough = name in self.granted or about["search"]["trials"] >= search.most
        if not (same and enough and (place / "model.json").is_file()):
            return False
        self.found[name] = Entry(name, result, about)
        return True


class _State:
    """`compare.json`: which log and protocol, and the seconds that each model has had."""

    def __init__(self, folder: Path, identity: Mapping[str, str]) -> None:
        self.path, self.identity = folder / "compare.json", dict(identity)
        self.spent: dict[str, float] = {}
        if self.path.exists():
            try:
                found = json.loads(self.path.read_text(encoding="utf-8"))
                self.spent = {str(name): float(seconds) for name, seconds in found.pop("spent").items()}
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                raise ArtefactError(f"{self.path}: damaged ({error}); delete {folder} to start afresh") from error
            odd = [key for key, value in self.identity.items() if found.get(key) != value]
            if odd:
                raise ConfigError(
                    f"{folder}: holds a comparison with another {' and '.join(odd)}; choose another folder with -o"
                )
        elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ArtefactError(f"{folder}: is there and is not a comparison; choose another folder with -o")
        folder.mkdir(parents=True, exist_ok=True)
        self._write()

    def spend(self, name: str, seconds: float) -> None:
        """Note what a model has had, on top of what it had before."""
        self.spent[name] = self.spent.get(name, 0.0) + seconds
        self._write()

    def _write(self) -> None:
        write_json(self.path, {**self.identity, "spent": self.spent})


Tell = Callable[[tuple[str, int]], object]  # words, and how many trials came to an end with them


def tune(search: Search, log: Log, place: Path, *, tell: Tell) -> list[Trial]:
    """The trials of one model, in this process."""
    return search.explore(
        log, study_of(place), tell=lambda words: tell((words, 1)), note=lambda words: tell((words, 0))
    )


def test(search: Search, log: Log, trials: list[Trial], place: Path, *, tell: Tell) -> str:
    """Train and test the winner in this process, whose peak memory is then that of the model; keep it at `place`."""
    tell(("training and testing the best", 0))
    conclude(search, log, trials, place)
    return str(place)


def served(entries: list[Entry]) -> Entry:
    """The model to take: the best on validation, as the test may not choose."""
    return max((entry for entry in entries if entry.result is not None), key=lambda entry: entry.validation)


def costs(entries: list[Entry], monitor: str) -> list[dict[str, Any]]:
    """What was chosen and what it took, as rows: training in processor seconds, peak memory of its process."""
    return [
        {
            "model": entry.model,
            "trials": entry.about["search"]["trials"],
            f"validation {monitor}": entry.validation,
            "epochs": entry.about["search"]["trial"]["best"] or None,
            "train CPU s": round(entry.about["training"]["cpu_seconds"], 2),
            "peak MB": entry.about["cost"]["peak_mb"],
            "tuning s": round(entry.tuning),
            "settings": shown(entry.about["search"]["trial"]["settings"]),
        }
        for entry in entries
        if entry.result is not None
    ]


def _tested(entry: Entry, monitor: str) -> float:
    return float("-inf") if entry.result is None else float(measure(entry.result.ranks, monitor).mean())
