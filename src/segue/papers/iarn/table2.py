"""IARN's Table 2: rating errors and ranking (AUC) of the paper's eight methods, and of baselines that it omits.

On Clothing the published errors of MF, TimeSVD++ and HieVH are above that of the global mean, and that of IARN is above
that of biases. BPR, Item2Vec, NCF and MP2Vec predict no ratings. POP, which the paper omits, has a better AUC.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from segue.evaluation.task import can_measure
from segue.experiments.experiment import Experiment
from segue.papers.departures import departures
from segue.papers.differences import correct_together, difference_sentences, paired_difference
from segue.papers.iarn.common import (
    LOG_SETUPS,
    METRICS,
    LogSetup,
    log_notes,
    quick_note,
    run_details_by_log,
)
from segue.papers.iarn.printed import FULL, PLAIN
from segue.papers.learning_curves import learning_curves, unfinished_sentences
from segue.papers.methods import Method, MethodResult
from segue.papers.reproduction import Picture, Reproduction
from segue.papers.run_cache import RunCache

Published = Mapping[str, tuple[float | None, float]]
# name -> RMSE and AUC
CLOTHING_FIGURES: Published = {
    "MF": (1.3587, 0.5092),
    "BPR": (None, 0.6246),
    "TimeSVD++": (1.2851, 0.5205),
    "HieVH": (1.2283, 0.7011),
    "Item2Vec": (None, 0.6717),
    "NCF": (None, 0.6720),
    "MP2Vec": (None, 0.6919),
    "IARN": (1.0998, 0.7004),
}
MOVIELENS_FIGURES: Published = {
    "MF": (1.1319, 0.6305),
    "BPR": (None, 0.6971),
    "TimeSVD++": (1.0623, 0.6504),
    "HieVH": (1.0326, 0.7214),
    "Item2Vec": (None, 0.7130),
    "NCF": (None, 0.7128),
    "MP2Vec": (None, 0.7135),
    "IARN": (0.9622, 0.7135),
}
EXTRA_BASELINES = {
    "Global mean": "global-mean",
    "User mean": "user-mean",
    "Item mean": "item-mean",
    "Biases": "biases",
    "POP": "pop",
}
# settings and numbers of epochs chosen on validation of Clothing by AUC; the same are used for MovieLens
BPR: Mapping[str, Any] = {"l2": 0.1, "embedding_dim": 32, "batch_size": 2048, "epochs": 20}
NCF: Mapping[str, Any] = {"batch_size": 1024, "pretrain_epochs": 4, "lr": 2e-3, "weight_decay": 1e-5, "epochs": 2}
ITEM2VEC: Mapping[str, Any] = {"passes_per_epoch": 2, "embedding_dim": 32, "batch_size": 8192, "epochs": 4}
MP2VEC: Mapping[str, Any] = {"passes_per_epoch": 1, "embedding_dim": 32, "batch_size": 8192, "lr": 3e-3, "epochs": 6}
BPR_WITH_FEATURES = "BPR with features"
# what the paper does not say
UNSAID = (
    "A history holds what happened strictly before the rating. In the authors' program it is the whole training "
    "history, which includes the rating that is to be predicted.",
    "A batch of IARN holds ratings with histories of similar lengths. The paper does not say how batches are drawn.",
    "The penalty of MF, TimeSVD++ and HieVH counts once for a user or an item here. The paper does not say how its "
    "penalty counts, so the weights are not compared.",
    "Users without a rating to order are left out of the AUC. In the authors' program they count with an AUC of 0.",
)


def methods_on(setup: LogSetup) -> tuple[Method, ...]:
    """The methods on a log."""
    published = published_on(setup)
    rating_models = {
        **{name: _experiment(setup, model) for name, model in EXTRA_BASELINES.items()},
        "MF": _experiment(setup, "mf"),
        "TimeSVD++": _experiment(setup, "timesvd++"),
        "HieVH": _experiment(setup, "hievh", **setup.features),
        PLAIN: setup.iarn_experiment(),
        "IARN": setup.iarn_experiment(feature_encoder="flat", **setup.features),
    }
    ranking_models = {
        BPR_WITH_FEATURES: _experiment(setup, "bprmf", **BPR, **setup.features, recency=0.5),
        "BPR": _experiment(setup, "bprmf", **BPR),
        "Item2Vec": _experiment(setup, "item2vec", **ITEM2VEC),
        "NCF": _experiment(setup, "neumf", **NCF),
        "MP2Vec": _experiment(setup, "mp2vec", **MP2VEC, **setup.features),
    }
    by_name = {
        name: setup.method(
            name,
            experiment,
            published=published.get(name),
            seeds=setup.seeds if experiment.model == "iarn" else (0,),
            choose_epochs=name in rating_models,
        )
        for name, experiment in {**rating_models, **ranking_models}.items()
    }
    return tuple(by_name[name] for name in (*EXTRA_BASELINES, BPR_WITH_FEATURES, *CLOTHING_FIGURES, PLAIN))


def published_on(setup: LogSetup) -> dict[str, dict[str, float]]:
    """The published figures by method and metric, of the log or of the one in whose place it stands."""
    return {
        name: {metric: value for metric, value in zip(METRICS, values, strict=True) if value is not None}
        for name, values in (CLOTHING_FIGURES if setup.is_papers_log else MOVIELENS_FIGURES).items()
    }


def _experiment(setup: LogSetup, model: str, **settings: Any) -> Experiment:
    return Experiment(model=model, protocol=setup.protocol, settings=settings, refit=True, patience=2)


METHODS = methods_on(LOG_SETUPS[0])  # the same for every log


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Train and test all methods, and test the difference of IARN from baselines and from IARN without features."""
    results = {setup.title: setup.run(methods_on(setup), runs, quick=quick) for setup in LOG_SETUPS}
    differences = correct_together(test for title, of_log in results.items() for test in tests(of_log, title))
    return Reproduction(
        title="IARN (CIKM 2017), Table 2",
        rows=tuple(row for setup in LOG_SETUPS for row in setup.rows(results[setup.title])),
        notes=(
            *quick_note(quick),
            *(note for setup in LOG_SETUPS for note in log_notes(setup, results[setup.title])),
            f"{PLAIN} is {FULL} without features. Both rank items by the predicted rating.",
            *UNSAID,
            "BPR, Item2Vec, NCF and MP2Vec have the settings and numbers of epochs that validation chose on Clothing. "
            "BPR with features samples recent ratings more often.",
            *(text for title, of_log in results.items() for text in unfinished_sentences(title, of_log)),
            f"P-values are corrected for the {len(differences)} tests of this table (Holm).",
            *difference_sentences(differences),
        ),
        departures=departures({title: [one.method for one in of_log] for title, of_log in results.items()}),
        pictures=tuple(_curves(setup, results[setup.title]) for setup in LOG_SETUPS),
        details={**run_details_by_log(results, quick=quick), "tests": differences},
    )


def _curves(setup: LogSetup, results: Sequence[MethodResult]) -> Picture:
    raters = [result for result in results if can_measure(result.runs[0].predictions, "rmse")]
    title = f"Error on validation by epoch, {setup.title}"
    name = f"iarn-table2-{setup.log}"
    return learning_curves(raters, name=name, title=title, metric="RMSE", from_loss=math.sqrt)


def tests(results: Sequence[MethodResult], title: str) -> list[dict[str, Any]]:
    """Paired differences of IARN from the baselines that it has to beat."""
    by_name = {result.method.name: result for result in results}
    against = {"rmse": ("Biases", "MF", PLAIN), "auc": ("POP", BPR_WITH_FEATURES)}
    return [
        paired_difference(by_name[FULL], by_name[name], metric, part=title)
        for metric, names in against.items()
        for name in names
        if can_measure(by_name[name].runs[0].predictions, metric)
    ]
