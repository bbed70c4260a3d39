"""`Comparison`: every model is tuned with an equal budget on one log, and the best of each is tested once.

    ml-100k/
      compare.json          what is compared, and the seconds spent on each model
      hgn/  hgn.search/     the best HGN, ready to serve, and its trials
      sasrec/ ...

Equal budgets mean: the same number of trials, the same limit on seconds, the space that each model declares, and the
same validation metric. Before a model is tuned, the remaining time is divided by the number of remaining models. Time
that a model does not need goes to later ones, so the cheap models run first (`segue.tuning.run_order`).

The time is a limit: when it is up, what still runs is ended, and the models without a test result are left out. The
last trainings and the tests are part of it. The table, the report and a fit on the whole log come after it.

Each model is tuned in a process of its own; its best is then trained and tested in another one. This measures the peak
memory of the best model alone and isolates failures.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segue.data.log import Log
from segue.errors import TrainingError, require
from segue.evaluation.protocol import Protocol
from segue.evaluation.ranking_protocol import RankingProtocol
from segue.evaluation.task import measure
from segue.experiments.experiment import Experiment
from segue.models.registry import find
from segue.reporting.console import progress
from segue.tuning.budget import Budget
from segue.tuning.comparison_state import comparison_folder
from segue.tuning.entry import Entry
from segue.tuning.optuna_space import import_optuna
from segue.tuning.report import format_settings
from segue.tuning.run_order import run_order
from segue.tuning.scheduler import Scheduler
from segue.tuning.search import Search
from segue.tuning.workers import WorkerPool, check_jobs


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A comparison of models under equal tuning budgets.

    Attributes:
        models: names in `MODELS`, or classes outside segue such as `./fmc.py:FMC`.
        protocol: of the evaluation.
        trials: number of trials of each model; fewer if its space has fewer points.
        minutes: limit on the time of the whole comparison, with the last trainings and the tests.
        jobs: number of processes at a time; each uses its share of the cores.
        seed: of the proposed settings and of every training.
        monitor: the validation metric that chooses epochs, settings and the model to serve.
        eval_every: epochs between two validations.
        patience: validations without progress before a training stops.
        refit: whether the last training of each best model is on train and validation together.
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
        RankingProtocol.expect(
            self.protocol,
            f"{self.protocol.name}: this protocol predicts ratings, but a comparison needs one that ranks items; run "
            f"each model alone instead, such as `segue run mf DATA --protocol {self.protocol.name}`",
        )
        require(self.minutes > 0, f"minutes={self.minutes}: must be above 0")
        check_jobs(self.jobs)
        require(len(self.references) == len(self.models), "two of the models have the same name; name each model once")
        for name in run_order(self.references):
            self.search(name)

    @property
    def references(self) -> dict[str, str]:
        """The name of each model's class, mapped to its entry in `models`."""
        return {find(model).name: model for model in self.models}

    def search(self, name: str, seconds: float | None = None) -> Search:
        """The search for the settings of one model, with a limit on its seconds; None for no limit."""
        experiment = Experiment(
            model=self.references[name],
            protocol=self.protocol,
            seed=self.seed,
            monitor=self.monitor,
            eval_every=self.eval_every,
            patience=self.patience,
            refit=self.refit,
        )
        kind = find(experiment.model)
        return Search(
            experiment=experiment, space=kind.space_for(kind.configure()), trials=self.trials, seconds=seconds
        )

    def run(self, log: Log, folder: Path) -> list[Entry]:
        """Tune, train and test every model. The same call resumes an interrupted comparison.

        Returns:
            One entry per model, sorted by the test metric; models that were left out come last.

        Raises:
            ConfigError: `folder` holds another comparison, or optuna is not installed.
            ArtefactError: `folder` holds something else, or its state is damaged.
            DataError: the log leaves nothing to train on, to choose by, or to evaluate.
            TrainingError: every model was left out, or another process is comparing in `folder`.
        """
        import_optuna()
        started = time.monotonic()
        order = run_order(self.references)
        first = self.search(order[0])
        warnings = first.experiment.warnings(first.split(log))  # raises an error if no model can use the log
        total = sum(self.search(name).max_trials for name in self.references)
        identity = {"log": log.fingerprint, "protocol": self.protocol.fingerprint}
        with comparison_folder(folder, identity) as state:
            budget = Budget(60 * self.minutes, self.jobs, started=started, spent=sum(state.spent.values()))
            scheduler = Scheduler(order, self.search, log, state, budget=budget, warnings=warnings)
            with WorkerPool(self.jobs) as pool, progress("comparing", total=total, unit="trials") as bar:
                scheduler.run(pool, bar)
        entries = scheduler.entries()
        if all(entry.result is None for entry in entries):
            raise TrainingError(f"no model could be compared; {entries[0].model}: {entries[0].reason}")
        return sorted(entries, key=lambda entry: -_test_metric(entry, self.monitor))


def best_on_validation(entries: list[Entry]) -> Entry:
    """The model to serve: the best on validation, since the test set must not choose."""
    return max((entry for entry in entries if entry.result is not None), key=lambda entry: entry.validation_metric)


def cost_rows(entries: list[Entry], monitor: str) -> list[dict[str, Any]]:
    """Rows of the chosen settings and the cost: training and test in CPU seconds, peak memory of the process in MB."""
    return [
        {
            "model": entry.model,
            "trials": entry.trials.text,
            f"validation {monitor}": entry.validation_metric,
            "epochs": entry.about["search"]["trial"]["best_epoch"] or None,
            "train CPU s": entry.about["training"]["cpu_seconds"],
            "test CPU s": entry.result.test_cpu_seconds,
            "peak MB": entry.about["cost"]["peak_mb"],
            "tuning s": entry.tuning_seconds,
            "settings": format_settings(entry.about["search"]["trial"]["settings"]),
        }
        for entry in entries
        if entry.result is not None
    ]


def _test_metric(entry: Entry, monitor: str) -> float:
    return float("-inf") if entry.result is None else float(measure(entry.result.predictions, monitor).mean())
