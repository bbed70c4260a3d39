"""IARN's Table 2: errors of ratings, and the order of items, of the paper's eight methods; and what it leaves out.

The authors' MF, TimeSVD++ and HieVH are worse on Clothing than the mean of all ratings, their IARN than biases.
BPR, Item2Vec, NCF and MP2Vec predict no ratings; POP, which the paper leaves out, puts items into a better order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from segue.evaluation.metrics import answers
from segue.experiments.experiment import Experiment
from segue.papers.iarn.common import METRICS, PLACES, Place, about, hurried, lead, sentence
from segue.papers.methods import Line, Method
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

Printed = Mapping[str, tuple[float | None, float]]
# name -> RMSE and AUC
CLOTHING: Printed = {
    "MF": (1.3587, 0.5092),
    "BPR": (None, 0.6246),
    "TimeSVD++": (1.2851, 0.5205),
    "HieVH": (1.2283, 0.7011),
    "Item2Vec": (None, 0.6717),
    "NCF": (None, 0.6720),
    "MP2Vec": (None, 0.6919),
    "IARN": (1.0998, 0.7004),
}
MOVIELENS: Printed = {
    "MF": (1.1319, 0.6305),
    "BPR": (None, 0.6971),
    "TimeSVD++": (1.0623, 0.6504),
    "HieVH": (1.0326, 0.7214),
    "Item2Vec": (None, 0.7130),
    "NCF": (None, 0.7128),
    "MP2Vec": (None, 0.7135),
    "IARN": (0.9622, 0.7135),
}
RIVALS = {
    "Global mean": "global-mean",
    "User mean": "user-mean",
    "Item mean": "item-mean",
    "Biases": "biases",
    "POP": "pop",
}
# settings and epochs that validation chose on Clothing, by AUC; taken for MovieLens as they are
BPR: Mapping[str, Any] = {"l2": 0.1, "embedding_dim": 32, "batch_size": 2048, "epochs": 20}
NCF: Mapping[str, Any] = {"batch_size": 1024, "pretrain": 4, "lr": 2e-3, "weight_decay": 1e-5, "epochs": 2}
ITEM2VEC: Mapping[str, Any] = {"passes_per_epoch": 2, "embedding_dim": 32, "batch_size": 8192, "epochs": 4}
MP2VEC: Mapping[str, Any] = {"passes_per_epoch": 1, "embedding_dim": 32, "batch_size": 8192, "lr": 3e-3, "epochs": 6}
FEATURED = "BPR with features"
PLAIN = "IARN-Plain"


def methods(place: Place) -> tuple[Method, ...]:
    """The lines of a log."""
    printed = {
        name: {metric: value for metric, value in zip(METRICS, values, strict=True) if value is not None}
        for name, values in (CLOTHING if place.same else MOVIELENS).items()
    }
    raters = {
        **{name: _recipe(place, model) for name, model in RIVALS.items()},
        "MF": _recipe(place, "mf"),
        "TimeSVD++": _recipe(place, "timesvd++"),
        "HieVH": _recipe(place, "hievh", column=place.features["column"], levels=place.features["levels"]),
        PLAIN: place.network_recipe(),
        "IARN": place.network_recipe(feature_encoder="flat", **place.features),
    }
    rankers = {
        FEATURED: _recipe(place, "bprmf", **BPR, **place.features, recency=0.5),
        "BPR": _recipe(place, "bprmf", **BPR),
        "Item2Vec": _recipe(place, "item2vec", **ITEM2VEC),
        "NCF": _recipe(place, "neumf", **NCF),
        "MP2Vec": _recipe(place, "mp2vec", **MP2VEC, **place.features),
    }
    made = {
        name: place.method(
            name,
            recipe,
            printed=printed.get(name),
            seeds=place.seeds if recipe.model == "iarn" else (0,),
            chosen=name in raters,
        )
        for name, recipe in {**raters, **rankers}.items()
    }
    return tuple(made[name] for name in (*RIVALS, FEATURED, *CLOTHING, PLAIN))


def _recipe(place: Place, model: str, **settings: Any) -> Experiment:
    return Experiment(model=model, protocol=place.protocol, settings=settings, refit=True, patience=2)


METHODS = methods(PLACES[0])  # every log has the same


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Train, choose on validation, train again, test; IARN is held against biases, MF and itself without features."""
    lines = {place.title: place.lines(methods(place), runs, quick=quick) for place in PLACES}
    found = [{**test, "part": title} for title, some in lines.items() for test in tests(some)]
    return Reproduction(
        title="IARN (CIKM 2017), Table 2",
        rows=tuple(row for place in PLACES for row in place.rows(lines[place.title])),
        notes=(
            *hurried(quick),
            *(f"{place.title}: {place.protocol.describe()}" for place in PLACES),
            "IARN is added to biases and reads the ratings of both histories, which the paper's does not; IARN-Plain "
            "is the same without features. Its order of items is that of the ratings it expects.",
            "BPR, Item2Vec, NCF and MP2Vec have the settings and epochs that validation chose on Clothing. BPR with "
            "features visits recent ratings more often.",
            *(sentence(test["part"], test) for test in found),
        ),
        details={**about(lines, quick=quick), "tests": found},
    )


def tests(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """IARN against those that it has to beat."""
    by_name = {line.method.name: line for line in lines}
    against = {"rmse": ("Biases", "MF", PLAIN), "auc": ("POP", FEATURED)}
    return [
        lead(by_name["IARN"], by_name[name], metric)
        for metric, names in against.items()
        for name in names
        if answers(by_name[name].runs[0].ranks, metric)
    ]
