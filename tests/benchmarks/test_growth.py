"""The benchmark of growth: its logs, its plan and its exponents."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from benchmarks.growth import FACTORS, MODELS, exponent, exponents, generate, plan, sizes

from benchmarks import growth
from segue.nn.compiled.loops import gated_queries, session_step, target_loss


def test_an_exponent_is_the_slope_of_the_logarithms() -> None:
    assert exponent({factor: 3.0 * factor**1.5 for factor in FACTORS}) == 1.5
    assert exponent(dict.fromkeys(FACTORS, 7.0)) == 0.0
    assert exponent({1: 0.0, 2: 2.0, 4: 4.0, 8: 8.0}) == 1.0  # what is below the clock is left out


def test_every_size_is_measured_once_and_named_in_every_sweep() -> None:
    measured = plan(["hgn", "pop"])
    assert len(measured) == len(set(measured)) == (1 + 4 * 3 + 4) + (1 + 4 * 3)
    assert sizes("hgn", "users", 8) == (8000, 1000, 20)
    assert sizes("pop", "events", 2) == (8000, 4000, 25)
    assert sizes("hgn", "window", 1) == sizes("hgn", "window", 8)


def test_a_log_is_the_same_for_the_same_sizes() -> None:
    one, two = generate(20, 10, 5), generate(20, 10, 5)
    assert one.fingerprint == two.fingerprint
    assert (one.num_users, one.num_items, len(one)) == (20, 10, 100)


def test_the_stored_sweeps_are_complete_and_their_exponents_follow_from_them() -> None:
    stored = json.loads(growth.STORED.read_text(encoding="utf-8"))
    factors: dict[tuple[str, str], list[int]] = {}
    for row in stored["rows"]:
        factors.setdefault((row["model"], row["sweep"]), []).append(row["factor"])
    assert all(tuple(found) == FACTORS for found in factors.values())
    assert {model for model, _ in factors} <= set(MODELS)
    assert stored["exponents"] == exponents(stored["rows"])


@pytest.mark.parametrize("model", growth.NETWORKS)
def test_all_sizes_of_a_network_are_trained_by_the_same_code(model: str) -> None:
    users, _, length = growth.SMALL
    work = users * (length - 2) * growth.settings(model, "users", 1)["epochs"]  # of the warm-up, the smallest training
    assert all(loop.min_work <= work for loop in (gated_queries, target_loss, session_step))


def test_more_work_does_not_take_half_the_time() -> None:
    times: dict[tuple[str, str], list[float]] = {}
    for row in json.loads(growth.STORED.read_text(encoding="utf-8"))["rows"]:
        times.setdefault((row["model"], row["sweep"]), []).append(row["fit"])
    fallen = {sweep: found for sweep, found in times.items() if any(b < a / 2 for a, b in pairwise(found))}
    assert not fallen  # such as where compiling lies in one of the figures


def test_every_stored_model_has_the_date_of_its_figures() -> None:
    stored = json.loads(growth.STORED.read_text(encoding="utf-8"))
    assert stored["measured"].keys() == {row["model"] for row in stored["rows"]}
    assert all({"date", "machine"} <= about.keys() for about in stored["measured"].values())
