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
from segue.data.item_features import feature_ids
from segue.data.log import Floats, Log
from segue.evaluation.rating_protocol import RatingProtocol
from segue.evaluation.task import can_measure
from segue.experiments.experiment import Experiment
from segue.models.ratings.iarn.feature_encoder import FeatureEncoding
from segue.papers.iarn.printed import printed_settings
from segue.papers.methods import QUICK_EPOCHS, SEEDS, Method, MethodResult, run_methods
from segue.papers.printed import Printed, size_sentence
from segue.papers.reproduction import Row
from segue.papers.run_cache import RunCache

METRICS = ("rmse", "auc")
NUM_RANKED_USERS = 100  # users whose items are ranked for the AUC; the authors sample 500 and 1,000


@dataclass(frozen=True, kw_only=True)
class PrintedLog:
    """What the paper says of a log, or of the one in whose place it stands.

    Attributes:
        sizes: the numbers of Table 1.
        dim: size of the vectors.
        encoder: how IARN reads the features.
        longest_history: of a user or an item here, before the date of the split; the paper shortens no history.
    """

    sizes: Mapping[str, int]
    dim: int
    encoder: FeatureEncoding
    longest_history: int

    def settings(self) -> dict[str, Printed]:
        """The printed settings of each method."""
        return printed_settings(self.dim, self.encoder, self.longest_history)


@dataclass(frozen=True, kw_only=True)
class LogSetup:
    """A log, its protocol, and the settings for it.

    Attributes:
        log: its name.
        title: as it is shown.
        protocol: of the evaluation.
        features: settings of a model that uses the item features of the log.
        iarn_settings: settings of IARN that differ from its preset `biased`.
        printed: what the paper says of the log and of the settings for it.
        is_papers_log: whether the published figures are of this log.
        seeds: of models that are trained by gradient descent.
    """

    log: str
    title: str
    protocol: RatingProtocol
    features: Mapping[str, Any]
    iarn_settings: Mapping[str, Any]
    printed: PrintedLog
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
        """A method with its published figures."""
        figures = self.columns_of(published or {})
        return Method(name=name, experiment=experiment, printed=self.printed.settings().get(name), **figures, **more)

    def columns_of(self, published: Mapping[str, float]) -> dict[str, Any]:
        """The published figures, for a method's attributes; those of another log have columns of their own."""
        if self.is_papers_log:
            return {"published": published}
        return {"other_logs": {f"{metric}, the paper's MovieLens": value for metric, value in published.items()}}

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
    printed=PrintedLog(
        sizes={"users": 19_939, "items": 20_785, "ratings": 135_128, "features": 690},
        dim=50,
        encoder="hierarchical",
        longest_history=159,
    ),
    is_papers_log=True,
    seeds=SEEDS,
)
PRINTED_MOVIELENS = PrintedLog(
    sizes={"users": 9_737, "items": 5_121, "ratings": 316_891, "features": 19},
    dim=25,
    encoder="flat",
    longest_history=737,
)
ML_100K = LogSetup(
    log="ml-100k",
    title="MovieLens 100K",
    protocol=_protocol("ratings"),
    features={"feature_column": "genres", "max_features_per_item": 6},
    iarn_settings={"epoch_fraction": 0.5, "epochs": 1, "lr": 2e-3, "lr_decay_steps": 160},
    printed=PRINTED_MOVIELENS,
    seeds=SEEDS,
)
ML_1M = LogSetup(
    log="ml-1m",
    title="MovieLens 1M",
    protocol=_protocol("ratings"),
    features={"feature_column": "genres", "max_features_per_item": 6},
    iarn_settings={"epoch_fraction": 0.1, "epochs": 4, "lr": 2e-3, "lr_decay_steps": 1264},
    printed=replace(PRINTED_MOVIELENS, longest_history=3_275),
)
LOG_SETUPS = (CLOTHING_SETUP, ML_100K, ML_1M)


def log_notes(setup: LogSetup, results: Sequence[MethodResult]) -> list[str]:
    """The protocol, the size of the log beside Table 1, and for how many users items were ranked."""
    log = catalog.load_log(setup.log)
    ranked = next(result for result in results if can_measure(result.runs[0].predictions, "auc"))
    num_users = len(ranked.values("auc"))
    return [
        f"{setup.title}: {setup.protocol.describe()} The AUC here is of {num_users:,} users.",
        size_sentence(setup.title, log_sizes(setup, log), setup.printed.sizes),
    ]


def log_sizes(setup: LogSetup, log: Log) -> dict[str, int]:
    """The numbers of Table 1: users and items with ratings before the date of the split, all ratings, all features."""
    past, feature_column = setup.protocol.split(log).train_valid, setup.features["feature_column"]
    return {
        "users": int((past.lengths > 0).sum()),
        "items": int((past.counts() > 0).sum()),
        "ratings": len(log),
        "features": len(feature_ids(log, feature_column)[1]),
    }


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
