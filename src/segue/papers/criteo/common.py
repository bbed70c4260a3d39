"""The common parts of Criteo's tables: log, protocol, methods, and simple baselines that the study omits.

Villatel, Smirnova, Mary and Preux, 2018. The study uses six months of YooChoose clicks. Here it is the last 1/64 of
them, as in most papers on sessions, with its usual split: the sessions of the last day are the test set. Figures
therefore differ from the published ones; the order of methods and the uplifts can be compared.

The settings are not the study's, whose schedule is for sixty times the data. All networks share the settings here too.
They have 5 epochs of a sampled softmax with 2,048 shared negatives per batch, and a learning rate that decays to zero.
On validation the GRU with both techniques reaches Recall@20 = .7000 and MRR@20 = .3123 with them. Each table lists what
departs from the study.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from segue.data.datasets import catalog
from segue.data.log import Log
from segue.evaluation.protocol import Protocol
from segue.evaluation.significance import uplift
from segue.evaluation.task import measure
from segue.experiments.experiment import Experiment
from segue.papers.criteo.printed import PRINTED
from segue.papers.departures import departures
from segue.papers.methods import QUICK_EPOCHS, Method, MethodResult, run_methods
from segue.papers.printed import name_in_paper
from segue.papers.reproduction import Row
from segue.papers.run_cache import RunCache
from segue.papers.verdict import figure_interval

LOG = "yoochoose-64"
TITLE = "YooChoose 1/64"
HORIZON = 5
PROTOCOL = Protocol.named("session").with_cut_offs((20,)).with_settings({"horizon": HORIZON})
SHARED_SETTINGS: Mapping[str, Any] = {
    "loss": "sampled-ce",
    "negative_sampling": "shared",
    "num_negatives": 2048,
    "epochs": 5,
    "lr": 4e-3,
    "final_lr": 0.0,
    "lr_decay_power": 1.0,
    "dropout": 0.25,
}
SEQUENCE_SETTINGS: Mapping[str, Any] = {
    **SHARED_SETTINGS,
    "window": 20,
    "batch_size": 256,
    "hidden_dropout": 0.25,
    "lr_decay_steps": 2270,
}
PAIR_SETTINGS: Mapping[str, Any] = {**SHARED_SETTINGS, "batch_size": 512, "lr_decay_steps": 3620}
NEXT_ITEM, NEXT_FIVE = "recall@20,1", f"recall@20,{HORIZON}"
_LOG_NOTE = (
    "The study has the clicks of six months: the last week of sessions is the test, the week before it the validation, "
    "the rest the training. Here the test is the last day, and training the last 1/64 of the sessions before it. The "
    "newest 10% of them are the validation; the tested models are trained on "
)
PROTOCOL_NOTE = f"{_LOG_NOTE}both."
PAPER_PROTOCOL_NOTE = f"{_LOG_NOTE}the others alone, as in the study."


def gradient_experiment(model: str, preset: str, settings: Mapping[str, Any]) -> Experiment:
    """An experiment with a model trained by gradient descent, with a fixed number of epochs."""
    return Experiment(model=model, preset=preset, protocol=PROTOCOL, settings=settings, monitor=NEXT_ITEM, refit=True)


def direct_experiment(model: str, preset: str | None = None) -> Experiment:
    """An experiment with a model that is fit directly, without epochs."""
    return Experiment(model=model, preset=preset, protocol=PROTOCOL, monitor=NEXT_ITEM, refit=True)


def method(name: str, experiment: Experiment, *published: float) -> Method:
    """A method with its published Recall@20 for the next item and for the next five items, and its printed settings."""
    figures = dict(zip((NEXT_ITEM, NEXT_FIVE), published, strict=False))
    printed = PRINTED.get(name) if published else None
    return Method(name=name, experiment=experiment, choose_epochs=False, published=figures, printed=printed)


PAPER_BASELINES = (
    method("POP", direct_experiment("pop"), 0.005, 0.005),
    method("Item-KNN", direct_experiment("item-knn", "criteo"), 0.505, 0.405),
    method("CoEvent MF", gradient_experiment("coevent-mf", "paper", PAIR_SETTINGS), 0.645, 0.438),
    method("CoEvent MF + RE", gradient_experiment("coevent-mf", "re", PAIR_SETTINGS), 0.647, 0.447),
)
NETWORKS = (
    method("GRU", gradient_experiment("gru", "plain", SEQUENCE_SETTINGS), 0.654, 0.463),
    method("GRU + RE", gradient_experiment("gru", "re", SEQUENCE_SETTINGS), 0.675, 0.481),
    method("GRU + LN", gradient_experiment("gru", "ln", SEQUENCE_SETTINGS), 0.687, 0.490),
    method("GRU + RE + LN", gradient_experiment("gru", "paper", SEQUENCE_SETTINGS), 0.689, 0.493),
    method("Stacked GRU + RE + LN", gradient_experiment("gru", "stacked", SEQUENCE_SETTINGS), 0.691, 0.495),
    method("HM-LSTM + RE + LN", gradient_experiment("hm-lstm", "paper", SEQUENCE_SETTINGS), 0.682, 0.489),
)
EXTRA_BASELINES = (
    method("Item-KNN, cosine", direct_experiment("item-knn", "gru4rec")),
    method("Sequential rules", direct_experiment("seq-knn", "rules")),
)
METHODS = (*EXTRA_BASELINES, *PAPER_BASELINES, *NETWORKS)
RULES = EXTRA_BASELINES[1].name
UPLIFTED = (RULES, *(method.name for method in NETWORKS))  # whose uplifts over the best baseline are shown
_NOTES = (
    PROTOCOL.describe(),
    PROTOCOL_NOTE,
    "The published figures are for all of YooChoose, the measured ones for its last 1/64: the order of methods and the "
    "uplifts can be compared. All networks have the same settings, which are not the study's: they were chosen on "
    "validation with GRU + RE + LN. They have one seed.",
)


def run_on_yoochoose(runs: RunCache, *, quick: bool) -> tuple[Log, list[MethodResult]]:
    """Train and test all methods."""
    log = catalog.load_log(LOG)
    return log, run_methods(METHODS, log, runs, epochs=QUICK_EPOCHS if quick else None)


def departures_of(results: Sequence[MethodResult]) -> tuple[dict[str, str], ...]:
    """What the methods of a table depart from the study in."""
    return departures({TITLE: [result.method for result in results]})


def best_baseline(results: Sequence[MethodResult], metric: str = NEXT_ITEM) -> MethodResult:
    """The best of the paper's baselines; uplifts are relative to it."""
    names = [method.name for method in PAPER_BASELINES]
    return max(
        (result for result in results if name_in_paper(result.method.name) in names),
        key=lambda result: result.values(metric).mean(),
    )


@dataclass(frozen=True)
class MeasuredUplift:
    """Uplifts over a baseline, in percent.

    Attributes:
        by_seed: the uplift of each seed; the baseline is averaged over its seeds.
        half_width: of the 95% interval of their mean, bootstrapped over sessions.
    """

    by_seed: tuple[float, ...]
    half_width: float


def uplift_of(result: MethodResult, base: MethodResult, metric: str, instances: Any = slice(None)) -> MeasuredUplift:
    """The uplift of a metric over a baseline, measured on a subset of the evaluation instances."""
    values, base_values = result.values(metric)[instances], base.values(metric)[instances]
    over_sessions = uplift(values, base_values, result.runs[0].predictions.user[instances])
    means = [measure(run.predictions, metric)[instances].mean() for run in result.runs]
    by_seed = tuple(100 * (float(mean / base_values.mean()) - 1) for mean in means)
    return MeasuredUplift(by_seed, (over_sessions.high - over_sessions.low) / 2)


def uplifted(results: Sequence[MethodResult]) -> list[MethodResult]:
    """Those whose uplifts are shown: the networks and the sequential rules."""
    return [result for result in results if name_in_paper(result.method.name) in UPLIFTED]


def uplift_rows(
    result: MethodResult, measured: MeasuredUplift, name: str, published: tuple[float, float] | None
) -> list[Row]:
    """Rows of an uplift and of half the width of its interval, in percent, with the published figures."""
    error = measured.half_width / NormalDist().inv_cdf(0.975)
    figure, half_width = published or (None, None)
    return [
        Row(
            method=result.method.name,
            metric=f"{name}, %",
            measured=measured.by_seed,
            error=error,
            interval=figure_interval(measured.by_seed, error, depends_on_seed=True),
            published=figure,
        ),
        Row(method=result.method.name, metric=f"± {name}", measured=(measured.half_width,), published=half_width),
    ]


def common_notes(quick: bool) -> list[str]:
    """The notes of every table."""
    quick_note = (
        f"QUICK: at most {QUICK_EPOCHS} epoch of each network. These figures cannot be compared with the paper."
    )
    return [*([quick_note] if quick else []), *_NOTES]
