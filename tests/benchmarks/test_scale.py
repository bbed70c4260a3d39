"""The benchmark of a large log: its generator, and that its steps are commands of segue."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from benchmarks.scale import STEPS, generate

from segue.cli.app import app


def test_every_user_and_every_item_of_the_log_has_an_event(tmp_path: Path) -> None:
    generate(tmp_path / "events.parquet", rows=500, users=60, items=40)
    events = pl.read_parquet(tmp_path / "events.parquet")
    assert events.columns == ["user_id", "item_id", "timestamp"]
    assert (events.height, *(events[name].n_unique() for name in ("user_id", "item_id"))) == (500, 60, 40)
    assert events["user_id"].value_counts()["count"].max() > 10  # some users have long histories


@pytest.mark.parametrize("step", STEPS)
def test_every_step_is_a_command(step: str) -> None:
    app.parse_args(STEPS[step].split(), print_error=False, exit_on_error=False)
