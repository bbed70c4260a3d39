"""The common parts of the IARN paper's tables: its logs, protocols and settings.

Pei, Yang, Sun, Zhang, Bozzon and Tax, CIKM 2017. Amazon Clothing is the authors' own log, split at their date. Their
MovieLens is a sample of a later release. Here it is MovieLens 100K and 1M, split after 90% of their ratings; the
published figures are shown for orientation.

IARN reads the ratings in both histories here, and user and item biases are added to its dot product. The preset `paper`
has neither, and cannot represent that some users rate higher, or that some items are rated higher.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segue.data.datasets import catalog
from segue.data.log import Floats, Ids
from segue.evaluation.rating_protocol import RatingProtocol
from segue.evaluation.significance import interval, t_test
from segue.evaluation.task import can_measure
from segue.experiments.experiment import Experiment
from segue.papers.methods import QUICK_EPOCHS, SEEDS, Method, MethodResult, run_methods
from segue.papers.reproduction import Row
from segue.papers.run_cache import RunCache

METRICS = ("rmse", "auc")
NUM_RANKED_USERS = 100  # users whose items are ranked for the AUC; the authors sample 500 and 1,000


@dataclass(frozen=True, kw_only=True)
class LogSetup:
    """A log, its protocol, and the settings for it.

    Attributes:
        log: its name.
        title: as it is shown.
        protocol: of the evaluation.
        features: settings of a model that uses the item features of the log.
        iarn_settings: settings of IARN that differ from its preset `biased`.
        is_papers_log: whether the published figures are of this log.
        seeds: of models that are trained by gradient descent.
    """

    log: str
    title: str
    protocol: RatingProtocol
    features: Mapping[str, Any]
    iarn_settings: Mapping[str, Any]
    is_papers_log: bool = False
    seeds: tuple[int, ...] = (0,)

    def iarn_experiment(self, **settings: Any) -> Experiment:
        """An experiment with IARN and further settings."""
        all_settings = {**self.iarn_settings, **settings}
        return Experiment(
            model="iarn", preset="biased", protocol=self.protocol, settings=all_settings, patience=2, refit=True
        )

    def method(
        self, name: str, experiment: Experiment, *, published: Mapping[str, float] | None = None, **more: Any
    ) -> Method:
        """A method with its published figures. If they are of another log, they have columns of their own."""
        figures = published or {}
        elsewhere = (
            {}
            if self.is_papers_log
            else {f"{metric}, the paper's MovieLens": value for metric, value in figures.items()}
        )
        return Method(
            name=name,
            experiment=experiment,
            published=figures if self.is_papers_log else {},
            other_logs=elsewhere,
            **more,
        )

    def run(self, methods: Sequence[Method], runs: RunCache, *, quick: bool) -> list[MethodResult]:
        """Train and test the methods on the log."""
        return run_methods(methods, catalog.load_log(self.log), runs, epochs=QUICK_EPOCHS if quick else None)

    def rows(self, results: Sequence[MethodResult]) -> list[Row]:
        """Rows of RMSE, AUC and cost of each method; methods that predict no ratings have no RMSE."""
        rows = []
        for result in results:
            metrics = [metric for metric in METRICS if can_measure(result.runs[0].predictions, metric)]
            rows += [replace(result.row(metric), part=self.title) for metric in metrics]
            rows += result.cost_rows(self.title)
        return rows


# RMSE on validation: 1.0695 after one epoch and after three; biases alone have 1.0697. Without weight decay and
# dropout, and with the ratings as input, it is 1.0698 after one epoch and 1.0948 after three.
CLOTHING_SETTINGS: Mapping[str, Any] = {
    "use_ratings": False,
    "embedding_dim": 8,
    "context_dim": 16,
    "hidden_dim": 16,
    "window": 10,
    "dropout": 0.5,
    "weight_decay": 1e-4,
    "batch_size": 512,
    "epochs": 3,
}


def _protocol(name: str) -> RatingProtocol:
    return replace(RatingProtocol.named(name), users=NUM_RANKED_USERS)


CLOTHING_SETUP = LogSetup(
    log="iarn-clothing",
    title="Amazon Clothing, the authors' split",
    protocol=_protocol("iarn-clothing"),
    features={"feature_column": "category", "max_features_per_item": 7},
    iarn_settings=CLOTHING_SETTINGS,
    is_papers_log=True,
    seeds=SEEDS,
)
ML_100K = LogSetup(
    log="ml-100k",
    title="MovieLens 100K",
    protocol=_protocol("ratings"),
    features={"feature_column": "genres", "max_features_per_item": 6},
    iarn_settings={"epoch_fraction": 0.5, "epochs": 1, "lr": 2e-3, "lr_decay_steps": 160},
    seeds=SEEDS,
)
ML_1M = LogSetup(
    log="ml-1m",
    title="MovieLens 1M",
    protocol=_protocol("ratings"),
    features={"feature_column": "genres", "max_features_per_item": 6},
    iarn_settings={"epoch_fraction": 0.1, "epochs": 4, "lr": 2e-3, "lr_decay_steps": 1264},
)
LOG_SETUPS = (CLOTHING_SETUP, ML_100K, ML_1M)


def paired_difference(
    result: MethodResult, other: MethodResult, metric: str = "rmse", instances: Any = slice(None)
) -> dict[str, Any]:
    """The mean difference of two results over the test ratings, on a subset of them.

    For "rmse" it is the difference of squared errors. The interval is bootstrapped over users; p is of a paired t-test.
    """
    users: Ids = result.runs[0].predictions.users(metric)[instances]
    values, other_values = result.values(metric)[instances], other.values(metric)[instances]
    low, high = interval(values - other_values, users)
    return {
        "of": result.method.name,
        "against": other.method.name,
        "metric": metric,
        "difference": float((values - other_values).mean()),
        "low": low,
        "high": high,
        "p": t_test(values, other_values, users),
    }


def difference_sentence(title: str, test: Mapping[str, Any]) -> str:
    """A sentence about a paired difference."""
    what = "mean squared error" if test["metric"] == "rmse" else "AUC"
    side = "below" if test["difference"] < 0 else "above"
    return (
        f"{title}: the {what} of {test['of']} is {abs(test['difference']):.5f} {side} that of {test['against']} "
        f"(95% interval of the difference {test['low']:+.5f} to {test['high']:+.5f}, p = {test['p']:.2g})."
    )


def quick_note(quick: bool) -> list[str]:
    """The first note of a quick version."""
    return [f"QUICK: one seed, at most {QUICK_EPOCHS} epoch. These figures cannot be compared with the paper."] * quick


def run_details_by_log(results: Mapping[str, Sequence[MethodResult]], *, quick: bool) -> dict[str, Any]:
    """Details for the result file: how each method was run, by log."""
    runs = {log: {result.method.name: result.as_dict() for result in of_log} for log, of_log in results.items()}
    return {"quick": quick, "log": list(results), "runs": runs}


def shorter_history_lengths(setup: LogSetup) -> Floats:
    """(N,) the length of the shorter history, of the user or of the item, for each test rating."""
    log = catalog.load_log(setup.log)
    split = setup.protocol.split(log)
    pairs, past = setup.protocol.rated_events(split, "test"), split.train_valid
    return np.minimum(past.lengths[pairs.user], past.counts()[pairs.item]).astype(np.float64)
