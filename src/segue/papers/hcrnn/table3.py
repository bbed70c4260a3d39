"""HCRNN's Table 3: Recall and MRR of the next item after every step, on CiteULike and MovieLens.

Song, Cha and Moon, AAAI 2019. CiteULike is the authors' log with their split, and 12% of its test events stand in
training with the same item and second. So it is shown three times: as the authors cut it, its questions of sequences
that share no event with training, and once more without the training sequences that share one. MovieLens is made anew
from MovieLens 1M. LastFM's raw log is not at hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segue.data.datasets import catalog
from segue.data.diagnostics.leakage import leaking_test_users
from segue.data.log import Ids
from segue.evaluation.metrics import Values
from segue.evaluation.protocol import Protocol
from segue.evaluation.significance import best, stars, t_test
from segue.papers.hcrnn.common import BEST, METRICS, MONITOR, NAMED, PROTOCOL, SEEDS, methods_on
from segue.papers.methods import MethodResult, run_methods
from segue.papers.reproduction import Reproduction, Row
from segue.papers.run_cache import RunCache

COST = "train CPU s"
QUICK_EPOCHS = 1  # epochs
LEAKY, CLEAN, APART, MOVIES = (
    "CiteULike, the authors' split",
    "CiteULike, clean questions: of test sequences that share no event with training",
    "CiteULike, trained without the leak: no training sequence shares an event with validation or test",
    "MovieLens, made anew",
)
METHODS = methods_on("citeulike", PROTOCOL)
KINDS = {
    "narm": "",
    "baseline": ", the best of the paper's baselines",
    "rival": ", the best single model that the paper leaves out",
}
SEVERAL = " and ".join(name for name, named in NAMED.items() if named.seeds == len(SEEDS))
NOTES = (
    "Stars: HCRNN-3 + Bi is above the best of the paper's baselines, one, two or three for p < .05, .01, .001 "
    "(Student's paired t-test of values averaged over seeds, the questions of a sequence counted as a cluster); as "
    "many ▾ where it is below.",
    "Networks are tested in their best epoch by Recall@20 on validation, each seed in its own. Figures are of one seed,"
    f" those of {SEVERAL} on the authors' split of CiteULike means of three. There alone are the variants of HCRNN "
    "with one channel: an epoch takes 140 processor seconds on MovieLens.",
    "S-POP stands as its definition has it, with what the sequence holds above all else, which never comes again in "
    "these logs; the paper's is closer to POP. Its row of Item-KNN contradicts itself and is left out.",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Lines on one log, and which of its questions count.

    Attributes:
        title: as it is shown.
        lines: a line a method.
        inside: (C,) the questions.
        paper: whether the printed figures are of these questions.
    """

    title: str
    lines: Sequence[MethodResult]
    inside: np.ndarray[Any, np.dtype[np.bool_]]
    paper: bool

    def values(self, metric: str) -> dict[str, Values]:
        """The values of every line, question by question."""
        return {line.method.name: line.values(metric)[self.inside] for line in self.lines}

    def rows(self) -> list[Row]:
        """The figures, HCRNN-3 + Bi starred where it is above the best of the paper's baselines; and what they cost."""
        marks = {test["metric"]: test["stars"] for test in self.tests() if test["kind"] == "baseline"}
        rows = []
        for line in self.lines:
            for metric in METRICS:
                row = line.row(metric, self.inside)
                row = row if self.published else replace(row, published=None)
                rows.append(replace(row, stars=marks[metric]) if line.method.name == BEST else row)
            rows.append(Row(method=line.method.name, metric=COST, measured=(line.cpu_seconds,)))
        return [replace(row, part=self.title) for row in rows]

    def tests(self) -> list[dict[str, Any]]:
        """HCRNN-3 + Bi against NARM, the best of the paper's baselines, and the best model that it leaves out."""
        users, found = _users(self.lines)[self.inside], []
        for metric in METRICS:
            values = self.values(metric)
            against = {}
            for kind in ("baseline", "rival"):
                against[kind] = best({name: values[name] for name, named in NAMED.items() if named.kind == kind})
            if against["baseline"] != "NARM":
                against["narm"] = "NARM"
            for kind, name in against.items():
                p, lead = t_test(values[BEST], values[name], users), float((values[BEST] - values[name]).mean())
                told = {"part": self.title, "metric": metric, "kind": kind, "against": name, "difference": lead}
                found.append({**told, "p": p, "stars": stars(p).replace("*", "*" if lead > 0 else "▾")})
        return found


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Train, choose the epoch on validation, test; several seeds on the authors' split alone."""
    epochs = QUICK_EPOCHS if quick else None
    kept = _lines("citeulike", PROTOCOL, runs, epochs)
    apart = _lines("citeulike", replace(PROTOCOL, leak="drop"), runs, epochs)
    movies = _lines("hcrnn-movielens", PROTOCOL, runs, epochs)
    clean = ~leaking_test_users(PROTOCOL.split(catalog.load("citeulike")))[_users(kept)]
    found = (
        Part(title=LEAKY, lines=kept, inside=np.ones_like(clean), published=True),
        Part(title=CLEAN, lines=kept, inside=clean, published=False),
        Part(title=APART, lines=apart, inside=np.ones_like(clean), published=False),
        Part(title=MOVIES, lines=movies, inside=np.ones(len(_users(movies)), np.bool_), published=True),
    )
    tests = [test for part in found for test in part.tests()]
    notes = [
        PROTOCOL.describe(),
        "The three tables of CiteULike belong together: "
        f"{int(clean.sum()):,} of its {len(clean):,} questions are of sequences that share no event with training.",
        *NOTES,
        *(_sentence(test) for test in tests if test["metric"] == MONITOR),
    ]
    if quick:
        notes.insert(
            0, f"QUICK: one seed, at most {QUICK_EPOCHS} epoch. These figures are not to be held against the paper."
        )
    trained = {
        part.title: {line.method.name: _about(line) for line in part.lines} for part in found if part is not found[1]
    }
    return Reproduction(
        title="HCRNN (AAAI 2019), Table 3",
        rows=tuple(row for part in found for row in part.rows()),
        notes=tuple(notes),
        details={"quick": quick, "log": ["citeulike", "hcrnn-movielens"], "tests": tests, "runs": trained},
    )


def _lines(log: str, protocol: Protocol, runs: RunCache, epochs: int | None) -> list[MethodResult]:
    return run_methods(methods_on(log, protocol), catalog.load(log), runs, epochs=epochs)


def _users(lines: Sequence[MethodResult]) -> Ids:
    """(C,) whose questions the lines answer."""
    return lines[0].runs[0].ranks.user


def _about(line: MethodResult) -> dict[str, Any]:
    """How a line came about; the course of its validation would fill the file."""
    return {key: value for key, value in line.about().items() if key != "validation_curve"}


def _sentence(test: Mapping[str, Any]) -> str:
    side = "above" if test["difference"] > 0 else "below"
    return (
        f"{test['part'].partition(':')[0]}: Recall@20 of {BEST} is {abs(test['difference']):.4f} {side} "
        f"{test['against']}{KINDS[test['kind']]} (p = {test['p']:.2g})."
    )
