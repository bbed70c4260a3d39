"""The words of a figure beside the published one: from the interval of one more training, never from one seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.data import synthetic
from segue.evaluation.protocols import PROTOCOLS
from segue.evaluation.significance import interval, mean_error
from segue.evaluation.task import measure
from segue.experiments.experiment import Experiment
from segue.models.registry import MODELS, find
from segue.papers.criteo.common import uplift_of, uplift_rows
from segue.papers.methods import Method
from segue.papers.reproduction import Reproduction, Row
from segue.papers.run_cache import RunCache
from segue.papers.verdict import ABOVE, AGREES, BELOW, NO_FIGURE, NO_INTERVAL, ONE_SEED, figure_interval, num_decimals

LOG = synthetic.markov(60, 12, 10, seed=1)
RATED = synthetic.with_ratings(LOG)
PROTOCOL = PROTOCOLS["leave-one-out"]
figures = st.floats(0.01, 0.9)
seeds = st.lists(figures, min_size=1, max_size=5)


def words(*rows: Row) -> list[str]:
    return [row["verdict"] for row in Reproduction(title="T", rows=rows).as_dict()["rows"]]


@given(by_seed=seeds, error=st.none() | st.floats(0, 0.1), published=st.integers(1, 9_999))
def test_a_figure_agrees_if_and_only_if_the_interval_has_what_was_printed(
    by_seed: list[float], error: float | None, published: int
) -> None:
    ends = figure_interval(by_seed, error, depends_on_seed=True)
    printed = published / 10_000
    beside = Row(method="B", metric="recall@10", measured=(0.1,), published=0.1234)  # so that four decimals are printed
    row = Row(method="A", metric="recall@10", measured=tuple(by_seed), interval=ends, published=printed)
    word = words(row, beside)[0]
    if len(by_seed) == 1:
        assert (ends, word) == (None, ONE_SEED)
        return
    assert ends is not None
    low, high = ends
    assert low <= row.mean + 1e-12
    assert row.mean - 1e-12 <= high
    assert (word == AGREES) == (low <= printed + 0.00005000001 and printed - 0.00005000001 <= high)
    assert (word == ABOVE) == (low > printed + 0.00005000001)
    assert (word == BELOW) == (high < printed - 0.00005000001)


def test_the_interval_of_seeds_is_that_of_one_more_training() -> None:
    """Student's t with two degrees of freedom is 4.302653; Satterthwaite's with both parts equal has eight."""
    values = (0.0474, 0.0476, 0.0478)
    half = 4.302653 * 0.0002 * (4 / 3) ** 0.5
    assert figure_interval(values, None, depends_on_seed=True) == pytest.approx(
        (0.0476 - half, 0.0476 + half), rel=1e-6
    )
    error = 0.0002 * (4 / 3) ** 0.5
    half = 2.306004 * error * 2**0.5
    assert figure_interval(values, error, depends_on_seed=True) == pytest.approx(
        (0.0476 - half, 0.0476 + half), rel=1e-6
    )


def test_how_often_one_more_training_is_within_the_interval() -> None:
    """Of seeds with normal noise, tested on the same users: 95%."""
    rng = np.random.default_rng(0)
    draws = rng.normal(0.3, 0.01, (4_000, 4))
    ends = [figure_interval(list(row[:3]), None, depends_on_seed=True) for row in draws]
    inside = [low <= row[3] <= high for row, (low, high) in zip(draws, (e for e in ends if e), strict=True)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.012)


def test_a_method_without_random_numbers_has_the_interval_of_its_users() -> None:
    assert figure_interval([0.5], 0.01, depends_on_seed=False) == pytest.approx((0.5 - 0.0196, 0.5 + 0.0196), abs=1e-5)
    assert figure_interval([0.5], None, depends_on_seed=False) is None
    row = Row(method="POP", metric="recall@10", measured=(0.5,), interval=(0.48, 0.52), published=0.515)
    assert words(row) == [AGREES]


def test_words_without_an_interval() -> None:
    more: dict[str, Any] = {"metric": "recall@10", "published": 0.5}
    assert words(
        Row(method="A", measured=(0.5,), **more),
        Row(method="B", measured=(0.5, 0.6), **more),
        Row(method="C", metric="recall@10", measured=(0.5,), interval=(0.4, 0.6)),
    ) == [ONE_SEED, NO_INTERVAL, NO_FIGURE]


def test_counted_figures_agree_as_far_as_they_are_printed() -> None:
    rows = [
        Row.counted("items", "CDs", 35_118, published=35_118),
        Row.counted("users", "CDs", 17_053, published=17_052),
        Row.counted("density", "CDs", 0.07886, published=0.079),
        Row.counted("GRU", "M", 7.5578, published=7.6),
        Row.counted("MF", "M", 3.7483, published=3.75),
        Row.counted("LSTM", "M", 3.7483, published=3.8),
    ]
    assert words(*rows) == [AGREES, ABOVE, AGREES, AGREES, AGREES, BELOW]


def test_a_printed_zero_at_the_end_counts() -> None:
    """.086 is printed as .0860, since the figure beside it has four decimals."""
    row = Row(method="A", metric="mrr@3", measured=(0.0863,), interval=(0.0862, 0.0864), published=0.086)
    assert words(row) == [AGREES]
    beside = Row(method="B", metric="mrr@3", measured=(0.1,), published=6.65 / 100)
    assert words(row, beside)[0] == ABOVE
    assert [num_decimals(figure) for figure in (None, 0.0921, 7.07 / 100, 38_724.0, 24.31)] == [0, 4, 4, 0, 2]


@pytest.mark.parametrize("name", [name for name in MODELS if not find(name).trained_by_gradient])
def test_models_in_closed_form_say_whether_they_depend_on_the_seed(name: str) -> None:
    protocol = PROTOCOLS["ratings" if find(name).task == "rating" else "leave-one-out"]
    settings = {"l2": 0.1} if name == "mf" else {}  # with its default, the vectors of so small a log shrink to zero
    one, two = (
        Experiment(model=name, protocol=protocol, settings=settings, seed=seed).run(RATED).result.predictions.arrays()
        for seed in (0, 1)
    )
    assert find(name).depends_on_seed != all(np.array_equal(one[key], two[key]) for key in one)


def test_the_error_is_that_of_users() -> None:
    rng = np.random.default_rng(3)
    users = np.repeat(np.arange(400), 5)
    values = np.repeat(rng.random(400), 5) + 0.1 * rng.random(2_000)
    low, high = interval(values, users)
    assert mean_error(values, users) == pytest.approx((high - low) / 2 / 1.96, rel=0.05)
    assert mean_error(values) < mean_error(values, users) / 2


def test_the_row_of_a_result_has_the_interval(tmp_path: Path) -> None:
    runs = RunCache(tmp_path)
    settings = {"embedding_dim": 4, "epochs": 2, "batch_size": 32}
    experiment = Experiment(model="bprmf", protocol=PROTOCOL, settings=settings, refit=True)
    one = Method(name="BPR", experiment=experiment, published={"recall@10": 0.9}).run(LOG, runs)
    three = Method(name="BPR", experiment=experiment, seeds=(0, 1, 2), published={"recall@10": 0.9}).run(LOG, runs)
    assert one.row("recall@10").interval is None
    row = three.row("recall@10")
    values = np.mean([measure(run.predictions, "recall@10") for run in three.runs], axis=0)
    error = mean_error(values, three.runs[0].predictions.user)
    assert row.error == pytest.approx(error)
    assert row.interval == pytest.approx(figure_interval(row.measured, error, depends_on_seed=True))
    pop = Method(name="POP", experiment=Experiment(model="pop", protocol=PROTOCOL, refit=True)).run(LOG, runs)
    expected = figure_interval(
        pop.row("recall@10").measured, mean_error(pop.values("recall@10")), depends_on_seed=False
    )
    assert pop.row("recall@10").interval == pytest.approx(expected)
    gain, width = uplift_rows(three, uplift_of(three, pop, "recall@10"), "uplift", (1.0, 2.0))
    assert len(gain.measured) == 3
    assert gain.interval is not None
    assert gain.mean == pytest.approx(100 * (row.mean / pop.row("recall@10").mean - 1))
    assert (gain.published, width.published, width.interval) == (1.0, 2.0, None)


def test_the_error_of_an_rmse_is_that_of_its_root(tmp_path: Path) -> None:
    protocol = PROTOCOLS["ratings"]
    method = Method(name="M", experiment=Experiment(model="global-mean", protocol=protocol, refit=True))
    result = method.run(RATED, RunCache(tmp_path))
    row, squares = result.row("rmse"), result.values("rmse")
    assert row.interval is not None
    half = 1.959964 * mean_error(squares, result.runs[0].predictions.users("rmse")) / (2 * row.mean)
    assert row.interval == pytest.approx((row.mean - half, row.mean + half), rel=0.01)
