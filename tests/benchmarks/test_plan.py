"""The plan of the benchmarks: the commands that it makes are valid."""

from __future__ import annotations

import importlib
import re

import pytest
from benchmarks.__main__ import README
from benchmarks.benchmark import Variant
from benchmarks.check import CHECKS, Check
from benchmarks.peer_setups import PEER_SETUPS
from benchmarks.peer_setups import PEERS as PEER_FOLDER
from benchmarks.peers.events import Events
from benchmarks.plan import BENCHMARKS
from measured import PEERS


@pytest.fixture(autouse=True)
def no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """The options of the peers' scripts read the exported log; here there is none."""
    monkeypatch.setattr(Events, "read", lambda path: path)


def check_command(variant: Variant, command: tuple[str, ...]) -> None:
    """Read the command as the script does that it names."""
    module, *arguments = command[2:]
    assert module == (PEER_SETUPS[variant.label].module if variant.is_peer else "benchmarks.segue_side")
    script = importlib.import_module(module if variant.is_peer else f"{module}.__main__")
    script.options().parse_args(arguments)


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_job_is_a_valid_command(name: str, quick: bool) -> None:
    jobs = list(BENCHMARKS[name].jobs(name, "v", PEERS, quick=quick))
    assert len({job.name for _, job in jobs}) == len(jobs) > 0
    for variant, job in jobs:
        check_command(variant, job.command)


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_is_a_valid_command(name: str) -> None:
    check = CHECKS[name]
    for variant in (check.segue, check.other) if isinstance(check, Check) else (check.segue,):
        check_command(variant, variant.command(0, PEERS, quick=False))


def test_an_unknown_option_is_refused() -> None:
    variant = Variant("RecTools", "--loss BCE --epochs 3", 1)
    with pytest.raises(SystemExit, match="2"):
        check_command(variant, variant.command(0, PEERS, quick=False))


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_row_is_of_a_variant_that_is_measured(name: str) -> None:
    benchmark = BENCHMARKS[name]
    assert {row.variant for row in benchmark.table_rows} <= {variant.label for variant in benchmark.variants}
    assert all(not variant.is_peer for variant, _ in benchmark.jobs(name, "v", {}, quick=False))


def test_a_target_below_one_has_a_note() -> None:
    rows = [row for benchmark in BENCHMARKS.values() for row in benchmark.table_rows]
    assert all(row.target_note for row in rows if row.min_speedup and row.min_speedup < 1)


def test_the_page_explains_every_benchmark_and_names_the_versions_that_are_installed() -> None:
    page = README.read_text("utf-8")
    assert all(re.search(rf"^\|.*`{name}`.*\|$", page, re.MULTILINE) for name in BENCHMARKS)
    versions = re.findall(r"(RecBole|RecTools|RePlay|WarpRec|implicit) (\d+\.\d+\.\d+)", page)
    assert {label for label, _ in versions} == PEER_SETUPS.keys() - {"GRU4Rec"}
    for label, version in versions:
        script = (PEER_FOLDER / f"{PEER_SETUPS[label].name}_setup.sh").read_text("utf-8")
        assert f"=={version}" in script, f"the page has {label} {version}"
