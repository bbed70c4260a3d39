"""The benchmark of growth: its logs, its plan and its exponents."""

from __future__ import annotations

import json

import pytest
from benchmarks.growth import FACTORS, MEASURES, MODELS, exponent, exponents, generate, plan, sizes

from benchmarks import growth


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
    assert {model for model, _ in factors} <= MODELS.keys()
    assert stored["exponents"] == exponents(stored["rows"])


@pytest.mark.parametrize("measure", MEASURES)
def test_every_figure_is_measured(measure: str) -> None:
    stored = json.loads(growth.STORED.read_text(encoding="utf-8"))
    assert all(row[measure] >= 0 for row in stored["rows"])
