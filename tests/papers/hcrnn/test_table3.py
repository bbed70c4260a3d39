"""HCRNN's Table 3 on small logs: which instances stand in which table, and what is tested against what."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from stored_form import form_differences

from segue.data import synthetic
from segue.data.datasets import catalog
from segue.data.diagnostics.leakage import leaking_test_users
from segue.data.log import Log
from segue.data.synthetic import from_sequences
from segue.evaluation.protocol import Protocol
from segue.evaluation.ranks import Ranks
from segue.evaluation.significance import holm, stars, t_test
from segue.evaluation.task import measure
from segue.experiments.experiment import Experiment
from segue.papers.hcrnn import table3 as hcrnn_table3
from segue.papers.hcrnn.common import BEST_VARIANT, METHOD_SPECS, METRICS, PROTOCOL, MethodSpec
from segue.papers.hcrnn.table3 import AUTHORS_SPLIT, CLEAN, MOVIELENS, WITHOUT_LEAK, TableSection, _marks
from segue.papers.methods import Method
from segue.papers.reproduction import Reproduction, part_tables
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
    method = MethodSpec.method

    def easier(spec: MethodSpec, name: str, log: str, protocol: Protocol, seeds: tuple[int, ...]) -> Method:
        full = method(spec, name, log, protocol, seeds)
        trained = full.epochs > 0
        experiment: Experiment = replace(
            full.experiment, settings={**full.experiment.settings, **(SMALL if trained else {})}
        )
        return replace(full, experiment=experiment)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "load_log", LOGS.__getitem__)
        patch.setattr(MethodSpec, "method", easier)
        return hcrnn_table3.reproduce(runs=RunCache(tmp_path_factory.mktemp("runs")), quick=True)


def test_the_form_is_that_of_the_result_file(made: Reproduction) -> None:
    assert form_differences(made, "hcrnn-table3") == []


def test_every_method_has_a_row_in_every_table(made: Reproduction) -> None:
    assert [name for name, _ in part_tables(made.as_dict())] == [AUTHORS_SPLIT, CLEAN, WITHOUT_LEAK, MOVIELENS]
    for part in (AUTHORS_SPLIT, CLEAN, WITHOUT_LEAK, MOVIELENS):
        for name, spec in METHOD_SPECS.items():
            if not spec.on_all_logs and part in (WITHOUT_LEAK, MOVIELENS):
                assert name not in {row.method for row in made.rows if row.part == part}
                continue
            for place, metric in enumerate(METRICS):
                row = made.row(name, metric, part)
                assert 0 <= row.mean <= 1
                log = {AUTHORS_SPLIT: "citeulike", MOVIELENS: "hcrnn-movielens"}.get(part, "")
                published = spec.published.get(log)
                assert row.published == (None if published is None else published[place] / 100)


def test_clean_instances_are_of_sequences_that_share_no_event_with_training(made: Reproduction) -> None:
    log = LOGS["citeulike"]
    split = PROTOCOL.split(log)
    shared = np.flatnonzero(leaking_test_users(split))
    assert shared.tolist() == [26, 27, 28]
    assert any(f"{12 * 8:,} of its {15 * 8:,} evaluation instances" in note for note in made.notes)
    pop = Experiment(model="pop", protocol=PROTOCOL).run(log).result
    assert isinstance(pop.predictions, Ranks)
    values, clean = measure(pop.predictions, "recall@3"), ~np.isin(pop.predictions.user, shared)
    assert made.row("POP", "recall@3", CLEAN).mean == pytest.approx(values[clean].mean())
    assert made.row("POP", "recall@3", AUTHORS_SPLIT).mean == pytest.approx(values.mean())


def test_the_best_variant_is_tested_against_narm_the_best_baseline_and_the_best_extra_baseline(
    made: Reproduction,
) -> None:
    tests = made.details["tests"]
    assert [test["p_holm"] for test in tests] == holm([test["p"] for test in tests])
    for test in tests:
        if test["kind"] == "baseline":
            shown = made.row(BEST_VARIANT, test["metric"], test["part"]).stars
            assert len(shown) == len(stars(test["p_holm"]))
        rows = [row for row in made.rows if (row.metric, row.part) == (test["metric"], test["part"])]
        results = {row.method: row.mean for row in rows if row.method in METHOD_SPECS}
        assert test["difference"] == pytest.approx(results[BEST_VARIANT] - results[test["against"]])
        if test["kind"] == "narm":
            assert test["against"] == "NARM"
        else:
            assert results[test["against"]] == max(
                v for n, v in results.items() if METHOD_SPECS[n].kind == test["kind"]
            )


@pytest.mark.parametrize("gap", [0.3, -0.3])
def test_marks_are_of_a_test_by_sequence_over_the_instances_of_the_part(gap: float) -> None:
    """`***` where the best variant is better, ▾▾▾ where it is worse."""
    rng, users = np.random.default_rng(1), np.repeat(np.arange(40), 5)
    shift = {name: gap if name == BEST_VARIANT else 0.0 for name in METHOD_SPECS}
    values = {name: rng.random(len(users)) + rng.random(40)[users] + shift[name] for name in METHOD_SPECS}

    def result(name: str) -> Any:
        run = SimpleNamespace(predictions=SimpleNamespace(user=users))
        return SimpleNamespace(method=SimpleNamespace(name=name), runs=[run], values=lambda metric: values[name])

    inside = users < 30
    part = TableSection(title="", results=[result(n) for n in METHOD_SPECS], instances=inside, is_papers_log=False)
    shown = set()
    for test in part.tests():
        one, other = values[BEST_VARIANT][inside], values[test["against"]][inside]
        assert test["p"] == t_test(one, other, users[inside])
        marks = _marks({**test, "p_holm": 0.02})
        assert marks == ("*" if one.mean() > other.mean() else "▾")
        shown.add(_marks({**test, "p_holm": test["p"]}))
    assert any("*" in text for text in shown) if gap > 0 else any("▾" in text for text in shown)
