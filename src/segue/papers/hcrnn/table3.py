"""HCRNN's Table 3: Recall and MRR of the next item after every step, on CiteULike and MovieLens.

Song, Cha and Moon, AAAI 2019. CiteULike is the authors' log with their split; 12% of its test events also occur in
training, with the same item and second. Therefore it has three tables: the authors' split, the evaluation instances of
sequences that share no event with training, and models trained without the training sequences that share one. MovieLens
is reconstructed from MovieLens 1M. The raw log of LastFM is not available.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segue.data.datasets import catalog
from segue.data.diagnostics.leakage import leaking_test_users
from segue.data.log import Floats, Ids, Mask
from segue.evaluation.protocol import Protocol
from segue.evaluation.significance import best, stars, t_test
from segue.papers.differences import correct_together
from segue.papers.hcrnn.common import BEST_VARIANT, METHOD_SPECS, METRICS, MONITOR, PROTOCOL, methods_on
from segue.papers.methods import QUICK_EPOCHS, SEEDS, MethodResult, run_methods
from segue.papers.reproduction import Reproduction, Row
from segue.papers.run_cache import RunCache

AUTHORS_SPLIT, CLEAN, WITHOUT_LEAK, MOVIELENS = (
    "CiteULike, the authors' split",
    "CiteULike, clean instances: of test sequences that share no event with training",
    "CiteULike, trained without the leak: no training sequence shares an event with validation or test",
    "MovieLens, reconstructed",
)
METHODS = methods_on("citeulike", PROTOCOL)
_KINDS = {
    "narm": "",
    "baseline": ", the best of the paper's baselines",
    "extra": ", the best single model that the paper omits",
}
_WITH_THREE_SEEDS = " and ".join(name for name, spec in METHOD_SPECS.items() if spec.seeds == len(SEEDS))
_NOTES = (
    "Stars: HCRNN-3 + Bi is better than the best of the paper's baselines; one, two or three for p < .05, .01, .001 "
    "(paired t-test of values averaged over seeds, clustered by sequence, corrected for all tests of the four tables "
    "by Holm's method); ▾ in place of stars if it is worse. A test with a method of one seed is of that training.",
    "Networks are tested with the weights of their best epoch by Recall@20 on validation, which each seed chooses for "
    f"itself. Figures are of one seed; those of {_WITH_THREE_SEEDS} on the authors' split of CiteULike are means of "
    "three. The variants of HCRNN with one attention channel are only trained there: an epoch takes 140 CPU seconds "
    "on MovieLens.",
    "S-POP follows its definition: it ranks the items of the sequence first, but in these logs items never repeat. The "
    "paper's S-POP is closer to POP. The paper's row of Item-KNN contradicts itself and is left out.",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class TableSection:
    """The results on one log, for a subset of its evaluation instances.

    Attributes:
        title: as it is shown.
        results: one for each method.
        instances: (C,) whether an evaluation instance is used.
        is_papers_log: whether the published figures are of these instances.
    """

    title: str
    results: Sequence[MethodResult]
    instances: Mask
    is_papers_log: bool

    def values(self, metric: str) -> dict[str, Floats]:
        """The metric of every method, for each evaluation instance."""
        return {result.method.name: result.values(metric)[self.instances] for result in self.results}

    def rows(self, tests: Sequence[Mapping[str, Any]]) -> list[Row]:
        """The figures and the cost of every method, with the stars of HCRNN-3 + Bi against the best baseline.

        Args:
            tests: of all parts of the table, corrected together.
        """
        of_part = [test for test in tests if test["part"] == self.title]
        marks = {test["metric"]: _marks(test) for test in of_part if test["kind"] == "baseline"}
        rows = []
        for result in self.results:
            for metric in METRICS:
                row = result.row(metric, self.instances)
                row = row if self.is_papers_log else replace(row, published=None)
                rows.append(replace(row, stars=marks[metric]) if result.method.name == BEST_VARIANT else row)
            rows += result.cost_rows(self.title)
        return [replace(row, part=self.title) for row in rows]

    def tests(self) -> list[dict[str, Any]]:
        """Tests of HCRNN-3 + Bi against NARM, the best of the paper's baselines, and the best extra baseline."""
        users, tests = _users(self.results)[self.instances], []
        for metric in METRICS:
            values = self.values(metric)
            against = {}
            for kind in ("baseline", "extra"):
                against[kind] = best({name: values[name] for name, spec in METHOD_SPECS.items() if spec.kind == kind})
            if against["baseline"] != "NARM":
                against["narm"] = "NARM"
            for kind, name in against.items():
                p = t_test(values[BEST_VARIANT], values[name], users)
                difference = float((values[BEST_VARIANT] - values[name]).mean())
                test = {"part": self.title, "metric": metric, "kind": kind, "against": name, "difference": difference}
                tests.append({**test, "p": p})
        return tests


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Train and test all methods; several seeds are only used on the authors' split."""
    epochs = QUICK_EPOCHS if quick else None
    citeulike = _run("citeulike", PROTOCOL, runs, epochs)
    without_leak = _run("citeulike", PROTOCOL.with_settings({"leak": "drop"}), runs, epochs)
    movielens = _run("hcrnn-movielens", PROTOCOL, runs, epochs)
    clean = ~leaking_test_users(PROTOCOL.split(catalog.load_log("citeulike")))[_users(citeulike)]
    parts = (
        TableSection(title=AUTHORS_SPLIT, results=citeulike, instances=np.ones_like(clean), is_papers_log=True),
        TableSection(title=CLEAN, results=citeulike, instances=clean, is_papers_log=False),
        TableSection(title=WITHOUT_LEAK, results=without_leak, instances=np.ones_like(clean), is_papers_log=False),
        TableSection(
            title=MOVIELENS, results=movielens, instances=np.ones(len(_users(movielens)), np.bool_), is_papers_log=True
        ),
    )
    tests = correct_together(test for part in parts for test in part.tests())
    notes = [
        PROTOCOL.describe(),
        f"CiteULike has three tables: {int(clean.sum()):,} of its {len(clean):,} evaluation instances are of sequences "
        "that share no event with training.",
        *_NOTES,
        *(_sentence(test) for test in tests if test["metric"] == MONITOR),
    ]
    if quick:
        notes.insert(
            0, f"QUICK: one seed, at most {QUICK_EPOCHS} epoch. These figures cannot be compared with the paper."
        )
    trained = {
        part.title: {result.method.name: _details(result) for result in part.results}
        for part in parts
        if part.title != CLEAN  # which has the trainings of the authors' split
    }
    return Reproduction(
        title="HCRNN (AAAI 2019), Table 3",
        rows=tuple(row for part in parts for row in part.rows(tests)),
        notes=tuple(notes),
        details={"quick": quick, "log": ["citeulike", "hcrnn-movielens"], "tests": tests, "runs": trained},
    )


def _run(log: str, protocol: Protocol, runs: RunCache, epochs: int | None) -> list[MethodResult]:
    return run_methods(methods_on(log, protocol), catalog.load_log(log), runs, epochs=epochs)


def _users(results: Sequence[MethodResult]) -> Ids:
    """(C,) the user of each evaluation instance."""
    return results[0].runs[0].predictions.user


def _details(result: MethodResult) -> dict[str, Any]:
    """How a method was run, without its validation curve."""
    return {key: value for key, value in result.as_dict().items() if key != "validation_curve"}


def _marks(test: Mapping[str, Any]) -> str:
    return stars(test["p_holm"]).replace("*", "*" if test["difference"] > 0 else "▾")


def _sentence(test: Mapping[str, Any]) -> str:
    side = "above" if test["difference"] > 0 else "below"
    return (
        f"{test['part'].partition(':')[0]}: Recall@20 of {BEST_VARIANT} is {abs(test['difference']):.4f} {side} "
        f"{test['against']}{_KINDS[test['kind']]} (p = {test['p_holm']:.2g} after correction)."
    )
