"""What the tables of the IARN paper share: its logs, settings, and the simple rivals that the paper leaves out.

Pei, Yang, Sun, Zhang, Bozzon and Tax, CIKM 2017. Amazon Clothing is the authors' own, cut at their date. Their
MovieLens is a sample of a later release; in its place are MovieLens 100K and 1M, cut at 90% of their ratings, and its
printed figures stand beside them for orientation.

IARN reads the ratings of both histories here, and its product is added to biases; without either it cannot know who is
generous and what is good (preset `paper`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segue.data.datasets import catalog
from segue.data.log import Ids
from segue.evaluation.metrics import Values, answers, asked
from segue.evaluation.protocol import Protocol, RatingProtocol
from segue.evaluation.significance import interval, t_test
from segue.experiments.experiment import Experiment
from segue.papers.methods import Line, Method, carry_out
from segue.papers.reproduction import Row
from segue.papers.run_cache import RunCache

METRICS = ("rmse", "auc")
COST = "train CPU s"
USERS = 100  # whose items are put in order; the authors draw 500 and 1,000
QUICK = 1  # epochs
SEVERAL = (0, 1, 2)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A log and how it is asked.

    Attributes:
        log: its name.
        title: as it is shown.
        protocol: how models are measured on it.
        features: the settings of a model that reads its features.
        network: settings of IARN that depart from its preset `biased` here.
        same: whether the paper's figures are of this log.
        seeds: of what is trained by gradient.
    """

    log: str
    title: str
    protocol: RatingProtocol
    features: Mapping[str, Any]
    network: Mapping[str, Any]
    same: bool = False
    seeds: tuple[int, ...] = (0,)

    def network_recipe(self, **settings: Any) -> Experiment:
        """IARN, with these settings on top."""
        chosen = {**self.network, **settings}
        return Experiment(
            model="iarn", preset="biased", protocol=self.protocol, settings=chosen, patience=2, refit=True
        )

    def method(
        self, name: str, recipe: Experiment, *, printed: Mapping[str, float] | None = None, **more: Any
    ) -> Method:
        """A line; the paper's figures are beside it where they are of this log, else in columns of their own."""
        paper = printed or {}
        elsewhere = {} if self.same else {f"{metric}, the paper's MovieLens": value for metric, value in paper.items()}
        return Method(name=name, recipe=recipe, paper=paper if self.same else {}, elsewhere=elsewhere, **more)

    def lines(self, methods: Sequence[Method], runs: RunCache, *, quick: bool) -> list[Line]:
        """Train and test the methods on the log."""
        return carry_out(methods, catalog.load(self.log), runs, epochs=QUICK if quick else None)

    def rows(self, lines: Sequence[Line]) -> list[Row]:
        """Errors, order and cost of each line; those that predict no ratings have no errors."""
        rows = []
        for line in lines:
            told = [metric for metric in METRICS if answers(line.runs[0].ranks, metric)]
            rows += [replace(line.row(metric), part=self.title) for metric in told]
            cost = Row(method=line.method.name, metric=COST, ours=(line.cpu_seconds,), lower=True, part=self.title)
            rows.append(cost)
        return rows


# RMSE on validation: 1.0695 after one epoch and after three, where biases have 1.0697; without weight decay and dropout
# of a half, and with ratings read, 1.0698 after one epoch and 1.0948 after three
STEADY: Mapping[str, Any] = {
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
    found = Protocol.named(name)
    assert isinstance(found, RatingProtocol)
    return replace(found, users=USERS)


CLOTHING = Place(
    log="iarn-clothing",
    title="Amazon Clothing, the authors' split",
    protocol=_protocol("iarn-clothing"),
    features={"column": "category", "features": 835, "levels": 7},
    network=STEADY,
    same=True,
    seeds=SEVERAL,
)
SMALL = Place(
    log="ml-100k",
    title="MovieLens 100K",
    protocol=_protocol("ratings"),
    features={"column": "genres", "features": 19, "levels": 6},
    network={"epoch_fraction": 0.5, "epochs": 1, "lr": 2e-3, "lr_decay_steps": 160},
    seeds=SEVERAL,
)
LARGE = Place(
    log="ml-1m",
    title="MovieLens 1M",
    protocol=_protocol("ratings"),
    features={"column": "genres", "features": 18, "levels": 6},
    network={"epoch_fraction": 0.1, "epochs": 4, "lr": 2e-3, "lr_decay_steps": 1264},
)
PLACES = (CLOTHING, SMALL, LARGE)


def lead(line: Line, other: Line, metric: str = "rmse", inside: Any = slice(None)) -> dict[str, Any]:
    """How far a line lies above another, question by question: of squared errors, for RMSE; with an interval over
    users, and the p of a paired t test."""
    users: Ids = asked(line.runs[0].ranks, metric)[inside]
    ours, theirs = line.values(metric)[inside], other.values(metric)[inside]
    low, high = interval(ours - theirs, users)
    told = {"of": line.method.name, "against": other.method.name, "metric": metric}
    return {
        **told,
        "difference": float((ours - theirs).mean()),
        "low": low,
        "high": high,
        "p": t_test(ours, theirs, users),
    }


def sentence(title: str, found: Mapping[str, Any]) -> str:
    """A lead in words."""
    what = "mean squared error" if found["metric"] == "rmse" else "AUC"
    side = "below" if found["difference"] < 0 else "above"
    return (
        f"{title}: the {what} of {found['of']} is {abs(found['difference']):.5f} {side} that of {found['against']} "
        f"(95% interval of the difference {found['low']:+.5f} to {found['high']:+.5f}, p = {found['p']:.2g})."
    )


def hurried(quick: bool) -> list[str]:
    """What a reader has to know first of a table that was made quickly."""
    return [f"QUICK: one seed, at most {QUICK} epoch. These figures are not to be held against the paper."] * quick


def about(lines: Mapping[str, Sequence[Line]], *, quick: bool) -> dict[str, Any]:
    """What is kept of how the figures came about, by log."""
    runs = {log: {line.method.name: line.about() for line in some} for log, some in lines.items()}
    return {"quick": quick, "log": list(lines), "runs": runs}


def lengths(place: Place) -> Values:
    """(N,) the length of the shorter of both histories of each test rating."""
    log = catalog.load(place.log)
    split = place.protocol.split(log)
    pairs, past = place.protocol.pairs(split, "test"), split.train_valid
    return np.minimum(past.lengths[pairs.user], past.counts()[pairs.item]).astype(np.float64)
