"""What the tables of Criteo's study share: log, protocol, methods, and the simple rivals that it leaves out.

Villatel, Smirnova, Mary and Preux, 2018. Its YooChoose holds six months of clicks; here it is the last 1/64 of them, as
most papers on sessions have it, which brings its own split: the sessions of the last day are the test. So figures
differ from the printed ones, and it is order and uplift that can be compared.

All networks are trained alike, as in the paper, but not with its schedule, made for sixty times the data: 5 epochs of a
softmax over 2,048 items drawn for each batch, with a learning rate that falls to zero. On the validation part the GRU
with both techniques had Recall@20 = .7000 and MRR@20 = .3123 with these settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from segue.data.datasets import catalog
from segue.data.log import Log
from segue.evaluation.metrics import Values, measure
from segue.evaluation.protocol import Protocol
from segue.evaluation.significance import Uplift, uplift
from segue.experiments.experiment import Experiment
from segue.papers.methods import Line, Method, carry_out
from segue.papers.reproduction import Row
from segue.papers.run_cache import RunCache

LOG = "yoochoose-64"
AHEAD = 5
PROTOCOL = replace(Protocol.named("session").at((20,)), ahead=AHEAD)
QUICK = 1  # epochs
ALIKE: Mapping[str, Any] = {
    "loss": "sampled-ce",
    "negative_sampling": "shared",
    "num_negatives": 2048,
    "epochs": 5,
    "lr": 4e-3,
    "final_lr": 0.0,
    "lr_decay_power": 1.0,
    "dropout": 0.25,
}
STEPS: Mapping[str, Any] = {**ALIKE, "window": 20, "batch_size": 256, "hidden_dropout": 0.25, "lr_decay_steps": 2270}
PAIRS: Mapping[str, Any] = {**ALIKE, "batch_size": 512, "lr_decay_steps": 3620}
NEXT, LATER = "recall@20,1", f"recall@20,{AHEAD}"


def network(model: str, preset: str, settings: Mapping[str, Any]) -> Experiment:
    """A model trained by gradient, for as many epochs as all others."""
    return Experiment(model=model, preset=preset, protocol=PROTOCOL, settings=settings, monitor=NEXT, refit=True)


def counted(model: str, preset: str | None = None) -> Experiment:
    """A model that learns by counting."""
    return Experiment(model=model, preset=preset, protocol=PROTOCOL, monitor=NEXT, refit=True)


def method(name: str, recipe: Experiment, *printed: float) -> Method:
    """One line; `printed` are the paper's Recall@20 for the next item, and for the next five."""
    paper = dict(zip((NEXT, LATER), printed, strict=False))
    return Method(name=name, recipe=recipe, chosen=False, paper=paper)


BASELINES = (
    method("POP", counted("pop"), 0.005, 0.005),
    method("Item-KNN", counted("item-knn", "criteo"), 0.505, 0.405),
    method("CoEvent MF", network("coevent-mf", "paper", PAIRS), 0.645, 0.438),
    method("CoEvent MF + RE", network("coevent-mf", "re", PAIRS), 0.647, 0.447),
)
NETWORKS = (
    method("GRU", network("gru", "plain", STEPS), 0.654, 0.463),
    method("GRU + RE", network("gru", "re", STEPS), 0.675, 0.481),
    method("GRU + LN", network("gru", "ln", STEPS), 0.687, 0.490),
    method("GRU + RE + LN", network("gru", "paper", STEPS), 0.689, 0.493),
    method("Stacked GRU + RE + LN", network("gru", "stacked", STEPS), 0.691, 0.495),
    method("HM-LSTM + RE + LN", network("hm-lstm", "paper", STEPS), 0.682, 0.489),
)
RIVALS = (
    method("Item-KNN, cosine", counted("item-knn", "gru4rec")),
    method("Sequential rules", counted("seq-knn", "rules")),
)
METHODS = (*RIVALS, *BASELINES, *NETWORKS)
NOTES = (
    PROTOCOL.describe(),
    "The printed figures are of all of YooChoose, these of its last 1/64: order and uplift can be compared. All "
    "networks have the same settings, chosen on validation with the GRU + RE + LN, and one seed.",
)


def run(runs: RunCache, *, quick: bool) -> tuple[Log, list[Line]]:
    """Train and test all methods."""
    log = catalog.load(LOG)
    return log, carry_out(METHODS, log, runs, epochs=QUICK if quick else None)


def baseline(lines: Sequence[Line], metric: str = NEXT) -> Line:
    """The best of the paper's baselines, which uplifts are over."""
    names = [one.name for one in BASELINES]
    return max((line for line in lines if line.method.name in names), key=lambda line: line.values(metric).mean())


def gain(line: Line, base: Line, values: tuple[Values, Values], inside: Any = slice(None)) -> Uplift:
    """How far a line lies above another, with an interval over sessions."""
    ours, theirs = values
    return uplift(ours[inside], theirs[inside], line.runs[0].ranks.user[inside])


def gains(line: Line, found: Uplift, name: str, printed: tuple[float, float] | None) -> list[Row]:
    """An uplift and half the width of its interval, in percent, beside the paper's."""
    half = (found.high - found.low) / 2
    paper, spread = printed or (None, None)
    return [
        Row(method=line.method.name, metric=f"{name}, %", ours=(found.percent,), paper=paper, tolerance=1.0),
        Row(method=line.method.name, metric=f"± {name}", ours=(half,), paper=spread, tolerance=1.0),
    ]


def about(lines: Sequence[Line], *, quick: bool) -> dict[str, Any]:
    """What is kept of how the figures came about."""
    return {
        "quick": quick,
        "log": LOG,
        "cpu_seconds": {line.method.name: line.cpu_seconds for line in lines},
        "runs": {line.method.name: line.about() for line in lines},
    }


def told(quick: bool) -> list[str]:
    """What a reader has to know of every table."""
    hurried = [f"QUICK: at most {QUICK} epoch of each network. These figures are not to be held against the paper."]
    return [*(hurried if quick else []), *NOTES]


def steps(line: Line, metric: str) -> Values:
    """(C,) a metric of the line's only run, question by question."""
    return measure(line.runs[0].ranks, metric)
