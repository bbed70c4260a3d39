"""HCRNN's Table 3 on small logs: which questions stand in which table, and what is tested against what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from segue.data import synthetic
from segue.data.datasets import catalog
from segue.data.diagnostics.leakage import leaking_test_users
from segue.data.log import Log
from segue.data.synthetic import from_sequences
from segue.evaluation.metrics import measure
from segue.evaluation.protocol import Protocol
from segue.evaluation.ranks import Ranks
from segue.experiments.experiment import Experiment
from segue.papers.hcrnn import table3 as hcrnn_table3
from segue.papers.hcrnn.common import BEST, METRICS, NAMED, PROTOCOL, Named
from segue.papers.hcrnn.table3 import APART, CLEAN, LEAKY, MOVIES
from segue.papers.methods import Method
from segue.papers.reproduction import Reproduction, parts
from segue.papers.run_cache import RunCache

SMALL = {"embedding_dim": 8, "epochs": 1}
SPLIT = ["train"] * 20 + ["valid"] * 5 + ["test"] * 15


def small_log(*, leaks: bool) -> Log:
    """Forty sequences; where it leaks, the first three of the test repeat what three of training did, to the second."""
    made = synthetic.markov(40, 12, 9, seed=5)
    sequences = [made.item[a:b].tolist() for a, b in zip(made.start[1:], made.stop[1:], strict=True)]
    if leaks:
        sequences[25:28] = sequences[:3]
    log = from_sequences(sequences)
    start = np.arange(40)
    if leaks:
        start[25:28] = start[:3]
    time = np.concatenate([100 * first + np.arange(len(one)) for first, one in zip(start, sequences, strict=True)])
    return replace(log, time=time.astype(np.int64), user_metadata=pl.DataFrame({"split": SPLIT}))


LOGS = {"citeulike": small_log(leaks=True), "hcrnn-movielens": small_log(leaks=False)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Reproduction:
    method = Named.method

    def easier(named: Named, name: str, log: str, protocol: Protocol, seeds: tuple[int, ...]) -> Method:
        full = method(named, name, log, protocol, seeds)
        trained = full.epochs > 0
        experiment: Experiment = replace(
            full.experiment, settings={**full.experiment.settings, **(SMALL if trained else {})}
        )
        return replace(full, experiment=experiment)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "load", LOGS.__getitem__)
        patch.setattr(Named, "method", easier)
        return hcrnn_table3.reproduce(runs=RunCache(tmp_path_factory.mktemp("runs")), quick=True)


def test_every_method_has_its_line_in_every_table(made: Reproduction) -> None:
    assert [name for name, _ in parts(made.as_dict())] == [LEAKY, CLEAN, APART, MOVIES]
    for part in (LEAKY, CLEAN, APART, MOVIES):
        for name, named in NAMED.items():
            if not named.everywhere and part in (APART, MOVIES):
                assert name not in {row.method for row in made.rows if row.part == part}
                continue
            for place, metric in enumerate(METRICS):
                row = made.row(name, metric, part)
                assert 0 <= row.mean <= 1
                log = {LEAKY: "citeulike", MOVIES: "hcrnn-movielens"}.get(part, "")
                printed = named.printed.get(log)
                assert row.published == (None if printed is None else printed[place] / 100)


def test_clean_questions_are_those_of_sequences_that_share_nothing(made: Reproduction) -> None:
    log = LOGS["citeulike"]
    split = PROTOCOL.split(log)
    shared = np.flatnonzero(leaking_test_users(split))
    assert shared.tolist() == [26, 27, 28]
    assert any(f"{12 * 8:,} of its {15 * 8:,} questions" in note for note in made.notes)
    pop = Experiment(model="pop", protocol=PROTOCOL).run(log).result
    assert isinstance(pop.ranks, Ranks)
    values, clean = measure(pop.ranks, "recall@3"), ~np.isin(pop.ranks.user, shared)
    assert made.row("POP", "recall@3", CLEAN).mean == pytest.approx(values[clean].mean())
    assert made.row("POP", "recall@3", LEAKY).mean == pytest.approx(values.mean())


def test_it_is_tested_against_narm_the_best_baseline_and_the_best_of_what_is_left_out(made: Reproduction) -> None:
    for test in made.details["tests"]:
        rows = [row for row in made.rows if (row.metric, row.part) == (test["metric"], test["part"])]
        lines = {row.method: row.mean for row in rows if row.method in NAMED}
        assert test["difference"] == pytest.approx(lines[BEST] - lines[test["against"]])
        if test["kind"] == "narm":
            assert test["against"] == "NARM"
        else:
            assert lines[test["against"]] == max(v for n, v in lines.items() if NAMED[n].kind == test["kind"])
