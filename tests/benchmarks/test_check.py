"""The comparison of measured with committed ratios, on prepared measurements."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from benchmarks.check import CHECKS, Check, Ratios, best_ratios, fallen, main, peers_of, table
from benchmarks.jobs import MeasurementFailed

from benchmarks import check

COMMITTED = {"a: epochs": 2.0, "a: rankings": 10.0}


@pytest.mark.parametrize(("ratio", "low"), [(2.0, False), (1.71, False), (1.69, True), (0.1, True), (30.0, False)])
def test_a_ratio_has_fallen_if_it_is_more_than_15_percent_lower(ratio: float, low: bool) -> None:
    assert fallen({"a: epochs": ratio, "a: rankings": 10.0, "new": 0.1}, COMMITTED) == ["a: epochs"] * low


@pytest.mark.parametrize(
    ("measured", "best", "runs"),
    [
        ([1.9], 1.9, 1),
        ([1.0, 1.8], 1.8, 2),
        ([1.0, 1.2, 2.1], 2.1, 3),
        ([1.0, 1.2, 1.1, 2.1], 1.2, 3),
    ],
)
def test_a_low_ratio_is_measured_up_to_three_times(measured: list[float], best: float, runs: int) -> None:
    left = iter(measured)
    found = best_ratios(lambda: {"a: epochs": next(left)}, COMMITTED)
    assert found == {"a: epochs": best}
    assert len(list(left)) == len(measured) - runs


def test_the_other_ratios_of_a_repeated_check_keep_their_best() -> None:
    runs: Iterable[Ratios] = iter([{"a: epochs": 1.0, "a: rankings": 11.0}, {"a: epochs": 2.0, "a: rankings": 1.0}])
    assert best_ratios(lambda: next(iter(runs)), COMMITTED) == {"a: epochs": 2.0, "a: rankings": 11.0}


def test_the_table_says_what_fell() -> None:
    lines = table({"a: epochs": 1.5, "a: rankings": 11.0, "new": 3.0}, COMMITTED).splitlines()[2:]
    assert lines == [
        "| a: epochs | 2.00 | 1.50 | -25% | FELL |",
        "| a: rankings | 10.00 | 11.00 | +10% | ok |",
        "| new | – | 3.00 | – | not committed |",
    ]


def test_both_sides_run_in_turns_and_medians_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    seconds = {"floor": iter([8.0, 9.0, 100.0]), "cds": iter([3.0, 1.0, 2.0])}

    def measure(command: tuple[str, ...]) -> dict[str, Any]:
        order.append(command[3])
        cpu = next(seconds[command[3]])
        return {"output": {part: [{"cpu_s": cpu}] * 3 for part in ("epochs", "rankings")}}

    monkeypatch.setattr(check, "measure", measure)
    ratios = CHECKS["floor-hgn-cds"].measure("floor-hgn-cds", {})
    assert ratios == {"floor-hgn-cds: epochs": 4.5, "floor-hgn-cds: rankings": 4.5}
    assert order == ["floor", "cds"] * 3


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ratios committed as 2.0 for the lower bound; the peers are not set up."""
    path = tmp_path / "ratios.json"
    ratios = {"floor-hgn-cds: epochs": 2.0, "implicit-bprmf: epochs": 0.5}
    path.write_text(json.dumps({"machine": "another", "ratios": ratios}))
    monkeypatch.setattr(check, "RATIOS", path)
    monkeypatch.setattr(check, "unavailable_data", dict)
    monkeypatch.setattr(check, "find_peers", lambda names, folder, set_up: {})
    return path


ONLY = ["--only", "floor-hgn-cds,implicit-bprmf"]


def returning(ratio: float) -> Any:
    return lambda self, name, peers: {f"{name}: epochs": ratio}


def test_the_exit_code_is_1_if_a_ratio_fell(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Check, "measure", returning(1.0))
    with pytest.raises(SystemExit, match="1"):
        main(ONLY)
    text = capsys.readouterr().out
    assert "FELL" in text
    assert "implicit-bprmf: left out" in text
    assert "the committed ratios are of another machine" in text
    monkeypatch.setattr(Check, "measure", returning(1.9))
    main(ONLY)


def test_the_exit_code_is_1_if_a_measurement_fails(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(*_: object) -> Ratios:
        raise MeasurementFailed("exit code 2")

    monkeypatch.setattr(Check, "measure", measure)
    before = prepared.read_text()
    for arguments in (ONLY, [*ONLY, "--write"]):
        with pytest.raises(SystemExit, match="1"):
            main(arguments)
    assert prepared.read_text() == before


def test_writing_keeps_the_ratios_that_were_not_measured(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Check, "measure", returning(1.2))
    main([*ONLY, "--write"])
    assert json.loads(prepared.read_text())["ratios"] == {
        "floor-hgn-cds: epochs": 1.2,
        "implicit-bprmf: epochs": 0.5,
    }


def test_a_check_that_compares_nothing_has_failed(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check, "unavailable_data", lambda: {"hgn-cds": "no such file"})
    monkeypatch.setattr(Check, "measure", returning(1.0))
    with pytest.raises(SystemExit, match="nothing was compared"):
        main(ONLY)
    assert "floor-hgn-cds" not in capsys.readouterr().out
    for text in ("{", "[]", '{"machine": "x"}'):
        prepared.write_text(text)
        with pytest.raises(SystemExit, match=r"ratios\.json: not a file of ratios"):
            main(ONLY)
    prepared.unlink()
    with pytest.raises(SystemExit, match=r"ratios\.json: there is none to compare with; --write"):
        main(ONLY)


def test_an_unknown_check_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--only", "recbole"])
    assert "no check 'recbole'; there are: recbole-hgn" in capsys.readouterr().err
    assert peers_of(["implicit-bprmf", "plain", "floor-hgn-cds", "implicit-item-knn"]) == ["implicit"]
