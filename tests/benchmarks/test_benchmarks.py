"""The benchmark runner on prepared measurements: table, command line, stored results."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.__main__ import parse, reason_not_to_publish, run_benchmark
from benchmarks.benchmark import segue_version
from benchmarks.jobs import Job, MeasurementFailed, Record, measure
from benchmarks.peer_common import Events, count_pairs, ranking_metrics
from benchmarks.peer_setups import PEER_SETUPS, Peer, find_peers
from benchmarks.plan import BENCHMARKS
from benchmarks.results_file import COMPLETE, CompleteRun, Results
from benchmarks.segue_side import MEASUREMENTS, products
from benchmarks.sequence_models import SETTINGS, count_examples, truncated
from benchmarks.sequence_models import count_pairs as count_epoch_pairs

from benchmarks import __main__ as bench
from benchmarks import recurrent, report
from segue.batches.batch import SequenceBatch
from segue.data.synthetic import random
from segue.evaluation.ranks import Ranks
from segue.evaluation.task import measure as measure_ranks
from segue.models.base.model import GradientModel, Sizes
from segue.models.registry import find

RECBOLE = Peer(python=Path("python-of-recbole"), arguments=("--root", "recbole"), versions="recbole 1.2.1")
PEERS = {
    name: RECBOLE if name == "RecBole" else Peer(python=Path(name), arguments=(), versions="") for name in PEER_SETUPS
}


def record(cpu: float = 1.0, *, peak: float = 100.0, **output: object) -> Record:
    measured = {"cpu_s": cpu, "wall_s": 2 * cpu, "peak_mb": peak, "output": output}
    return {"when": "2026-01-31T12:00:00+00:00", "load": 0.5, **measured}


def entries(*seconds: float) -> list[dict[str, float]]:
    return [{"cpu_s": cpu, "wall_s": 2 * cpu} for cpu in seconds]


def cells(table: str, label: str, below: int = 0) -> list[str]:
    """The cells of the line with this label, or of a line below it, which is that of a peer."""
    lines = table.splitlines()
    (found,) = [number for number, line in enumerate(lines) if line.startswith(f"| {label}")]
    return [cell.strip() for cell in lines[found + below].removeprefix("|").removesuffix("|").split("|")]


def notes(results: Results) -> str:
    run = CompleteRun(results=results, missing={}, peers={}, machine="a machine", software="Python")
    return report.blocks(run)["results"]


def test_a_row_has_medians_of_medians_and_ratios() -> None:
    peer = [record(epochs=entries(30.0), peak=1000), record(epochs=entries(10.0), peak=1200)]
    own = [record(epochs=entries(9.0, 4.0, 5.0), peak=500)]
    table = report.table({"epoch-ce": {"RecBole": peer, "windows_per_row=1": own}}, {})
    label = "epoch, CE, ml-100k, window 50, windows_per_row=1 "
    assert cells(table, label)[1:] == ["segue", "5.00", "10.0", "500", "", "", "–", "–", "–", "4 times", "yes"]
    assert cells(table, label, below=1) == ["", "RecBole", "20.0", "40.0", "1,100", "4.0", "4.0", *"–––", "", ""]


@pytest.mark.parametrize(
    ("segue_cpu", "recall", "reached"),
    [
        (50.0, 0.2, "yes"),
        (50.0, 0.1, "yes"),
        (51.0, 0.1, "no: time"),
        (50.0, 0.09, "no: Recall@10"),
        (51.0, 0.09, "no: time, Recall@10"),
    ],
)
def test_the_target_of_the_whole_command_is_time_and_accuracy(segue_cpu: float, recall: float, reached: str) -> None:
    figures = {"ndcg@10": 0.05, "mrr@10": 0.03}
    peer = record(500.0, test={"recall@10": 0.1, **figures}, epochs=27)
    own = record(segue_cpu, test={"recall@10": recall, **figures}, epochs=20)
    table = report.table({"whole": {"RecBole": [peer, peer], "segue": [own]}}, {})
    assert cells(table, "whole")[-1] == reached
    assert cells(table, "whole")[7:10] == [f"{recall:.4f}", "0.0500", "20"]
    assert cells(table, "whole", below=1)[7:10] == ["0.1000", "0.0500", "27"]


def test_absolute_targets_and_figures_reported_elsewhere() -> None:
    own = record(epochs=entries(0.9), rankings=entries(2.0), peak=800)
    table = report.table({"cds": {"windows_per_row=1": [own]}}, {})
    label = "epoch, BPR, Amazon CDs, windows of 5 then 3, windows_per_row=1"
    assert cells(table, label)[10:] == ["1 CPU s, 700 MB", "no: memory"]
    assert cells(table, label, below=1)[1:7] == ["authors' program†", "4.8", "–", "2,000", "–", "–"]
    assert cells(table, "full ranking of Amazon")[-1] == "no: time, memory"


def test_every_reading_has_its_own_peak_memory() -> None:
    readings = [{"cpu_s": 10.0, "wall_s": 8.0, "peak_mb": 1500.0}]
    table = report.table({"ingest": {"segue": [record(peak=70, readings=readings)]}}, {})
    assert cells(table, "reading 20 million")[2:5] == ["10.0", "8.00", "1,500"]


def test_a_missing_measurement_has_a_reason() -> None:
    table = report.table(
        {"epoch-ce": {"windows_per_row=1": [record(epochs=entries(1.0))]}}, {"cds": "hgn-cds is not available"}
    )
    assert cells(table, "full ranking of Amazon")[-1] == "hgn-cds is not available"
    assert cells(table, "full ranking of ml-1m")[-1] == "not measured"
    assert cells(table, "epoch, CE, ml-100k, window 50, windows_per_row=1 ")[-1] == "no peer"


def test_the_lower_bound_is_arithmetic_and_memory_traffic() -> None:
    floor = {"gemm_flops_s": 1e11, "memory_bytes_s": 3e10, "epoch_flops": 3e10, "epoch_bytes": 6e9, "eval_flops": 5e10}
    output = {**floor, "steps": 62, "parameters": 4_369_900}
    own = record(epochs=entries(1.0), rankings=entries(1.5))
    text = notes({"cds": {"windows_per_row=1": [own], "floor windows_per_row=1": [record(**output)]}})
    assert "30.0 GFLOP at the 100 GFLOP/s that a large matrix product reaches, 0.300 s" in text
    assert "at 30 GB/s, 0.200 s; together 0.500 s. segue takes 2.0 times that." in text
    assert "0.500 s; segue takes 3.0 times that." in text


def test_only_the_blocks_are_replaced(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    begin, end = report.BEGIN.format("results"), report.END.format("results")
    page.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    report.replace(page, {"results": "new"})
    assert page.read_text() == f"before\n{begin}\n\nnew\n\n{end}\nafter\n"
    with pytest.raises(SystemExit, match=r"no <!-- handwritten: begin --> .* put both lines back"):
        report.replace(page, {"results": "newer", "handwritten": "new"})
    assert "newer" not in page.read_text()
    assert list(tmp_path.iterdir()) == [page]


def test_the_readme_has_the_markers_and_the_tables_of_the_committed_results() -> None:
    text = bench.README.read_text("utf-8")
    for name in ("results", "handwritten"):
        assert 0 < text.index(report.BEGIN.format(name)) < text.index(report.END.format(name))
    if COMPLETE.exists():
        for block in report.blocks(CompleteRun.read(COMPLETE)).values():
            assert block.strip() in text


def test_without_results_no_page_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "COMPLETE", tmp_path / "complete.json")
    with pytest.raises(SystemExit, match=r"complete\.json: there is none; a complete run"):
        bench.main(["--page"])
    for text in ("{", '{"results": {}}'):
        (tmp_path / "complete.json").write_text(text)
        with pytest.raises(SystemExit, match=r"complete\.json: not a file of results"):
            bench.main(["--page"])


def test_results_are_stored_without_commands(tmp_path: Path) -> None:
    path = tmp_path / "results" / "complete.json"
    own = {**record(2.0, readings=entries(1.0)), "command": ["/a/folder/python"], "version": "9f2c"}
    run = CompleteRun.here({"ingest": {"segue": [own]}}, {"eval": "no data"}, {"RecBole": "1.2.1"})
    run.write(path)
    assert "command" not in path.read_text()
    read = CompleteRun.read(path)
    assert (read.machine, read.software, read.missing) == (run.machine, run.software, run.missing)
    assert report.blocks(read) == report.blocks(run)


def test_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse([]).only == list(BENCHMARKS)
    args = parse(["--only", "eval,whole", "--quick", "--peers", "folder"])
    assert (args.only, args.quick, args.peers) == (["whole", "eval"], True, Path("folder"))
    with pytest.raises(SystemExit, match="2"):
        parse(["--only", "evil"])
    assert "no benchmark 'evil'; there are: whole, epoch-ce" in capsys.readouterr().err


def test_every_job_is_a_valid_command() -> None:
    for name, benchmark in BENCHMARKS.items():
        jobs = list(benchmark.jobs(name, "v", PEERS, quick=False))
        assert len({job.name for _, job in jobs}) == len(jobs)
        assert {line.variant for line in benchmark.table_rows} <= {variant.label for variant in benchmark.variants}
        for variant, job in jobs:
            script = PEER_SETUPS[variant.label].script if variant.label in PEER_SETUPS else "segue_side"
            assert job.command[1:3] == ("-m", f"benchmarks.{script}")
            if script == "segue_side":
                assert job.command[3] in MEASUREMENTS
        assert all(variant.label not in PEER_SETUPS for variant, _ in benchmark.jobs(name, "v", {}, quick=False))


def test_every_peer_has_a_script_and_a_setup() -> None:
    folder = Path(report.__file__).parent
    for setup in PEER_SETUPS.values():
        assert (folder / f"{setup.script}.py").is_file()
        assert (folder / f"{setup.folder}_setup.sh").is_file()
    assert {setup.environment for setup in PEER_SETUPS.values()} <= {p.folder for p in PEER_SETUPS.values()}


def test_time_is_compared_with_the_fastest_peer_and_accuracy_with_the_best() -> None:
    def trained(seconds: float, ndcg: float) -> list[Record]:
        test = {"recall@10": 0.2, "ndcg@10": ndcg}
        return [record(epochs=entries(seconds), warm_up=entries(seconds), examples=9, test=test)]

    peers = {"RecTools": trained(60.0, 0.03), "RePlay": trained(30.0, 0.02)}
    results = {"sasrec-ce": {**peers, "segue": trained(20.0, 0.025)}}
    label = "epoch, CE, ml-1m, SASRec, the last 100"
    table = report.table(results, {})
    assert cells(table, label)[10:] == ["1.5 times, no worse NDCG@10", "no: NDCG@10"]
    assert cells(table, label, below=1)[1:10] == [
        *("RePlay", "30.0", "60.0", "100", "1.5", "1.5", "0.2000", "0.0200", "2")
    ]
    assert cells(table, label, below=2)[1:3] == ["RecTools", "60.0"]


def test_without_a_test_there_is_no_verdict_on_accuracy() -> None:
    runs = {"GRU4Rec": [record(epochs=entries(60.0))], "segue": [record(epochs=entries(20.0))]}
    line = cells(report.table({"gru4rec-ce": runs}, {}), "epoch, cross-entropy, ml-1m, GRU4Rec")
    assert line[7:10] == ["–", "–", "–"]
    assert line[-1] == "not tested"


EVENTS = Events(np.array([1, 2, 3, 4, 5, 3, 1, 2, 2, 4]), np.array([0, 5, 8, 10]))  # users of 5, 3 and 2 rows


def test_peers_read_the_training_rows_of_segue() -> None:
    user, item, position = EVENTS.without_last(2)
    assert (user.tolist(), item.tolist(), position.tolist()) == ([1, 1, 1, 2], [1, 2, 3, 3], [0, 1, 2, 0])
    assert EVENTS.last.tolist() == [5, 2, 4]
    assert count_pairs(EVENTS) == 2
    assert count_pairs(EVENTS, 1) == 1


def test_metrics_of_peers_agree_with_those_of_segue() -> None:
    rng = np.random.default_rng(0)
    lists = np.array([rng.permutation(30)[:10] for _ in range(200)])
    targets = rng.integers(0, 30, 200)
    rank = [[*row, target].index(target) + 1 for row, target in zip(lists, targets, strict=True)]
    ranks = Ranks(np.arange(200), np.array(rank), np.arange(201), lists.astype(np.int32), depth=10, dropped={})
    for metric, value in ranking_metrics(lists, targets).items():
        assert value == pytest.approx(measure_ranks(ranks, metric).mean(), abs=1e-5)


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_number_of_pairs_of_an_epoch(setting: str) -> None:
    name, settings = SETTINGS[setting]
    kind = find(name)
    log = random(num_users=130, num_items=300, length=60, seed=0)
    torch.manual_seed(0)
    model = kind(kind.configure({**settings, "epochs": 1}, None), Sizes(log.num_users, log.num_items))
    assert isinstance(model, GradientModel)
    assert count_examples(model, log) == count_epoch_pairs(log, settings)
    few = truncated(kind, 1)
    assert (
        0
        < count_examples(few(few.configure(settings, None), Sizes(log.num_users, log.num_items)), log)
        <= count_epoch_pairs(log, settings)
    )


def test_variants_run_in_turn_and_every_run_has_its_seed() -> None:
    jobs_of_whole = BENCHMARKS["whole"].jobs("whole", "v", PEERS, quick=False)
    jobs = [(variant.label, job.command[job.command.index("--seed") + 1]) for variant, job in jobs_of_whole]
    assert jobs == [("RecBole", "2020"), ("segue", "0"), ("segue", "1"), ("segue", "2")]


def test_only_complete_results_of_one_version_are_published() -> None:
    full = {
        name: {variant.label: [record()] * benchmark.rounds * variant.runs_per_round for variant in benchmark.variants}
        for name, benchmark in BENCHMARKS.items()
    }
    version, everything = segue_version(), list(BENCHMARKS)
    assert reason_not_to_publish(full, everything, version) == ""
    changed = "the source was changed while it was measured; run it again"
    assert reason_not_to_publish(full, everything, "older") == changed
    del full["cds"], full["eval"]["RecBole"]
    assert reason_not_to_publish(full, everything, version) == "not measured: eval, cds"
    assert reason_not_to_publish(full, [], version) == ""
    assert reason_not_to_publish(full, [], "older") == changed


def test_a_stored_result_is_valid_only_for_the_same_measurement(tmp_path: Path) -> None:
    code = "import json; print('noise'); print(json.dumps({'x': 1}))"
    job = Job("job", (sys.executable, "-c", code), version="1", expected_seconds=1)
    assert job.load(tmp_path) is None
    stored = job.run(tmp_path)
    assert stored["output"] == {"x": 1}
    assert stored["cpu_s"] > 0
    assert stored["peak_mb"] > 1
    assert job.load(tmp_path) == stored
    assert Job("job", job.command, version="2", expected_seconds=1).load(tmp_path) is None
    assert Job("job", (*job.command, "more"), version="1", expected_seconds=1).load(tmp_path) is None
    (tmp_path / "job.json").write_text("{")
    assert job.load(tmp_path) is None


def test_processes_have_one_thread() -> None:
    code = "import json, os; print(json.dumps(os.environ['OMP_NUM_THREADS'] + os.environ['POLARS_MAX_THREADS']))"
    assert measure([sys.executable, "-c", code])["output"] == "11"


def test_the_error_ends_with_the_last_lines(tmp_path: Path) -> None:
    job = Job("job", (sys.executable, "-c", "raise SystemExit('no such data')"), version="", expected_seconds=1)
    with pytest.raises(MeasurementFailed, match="exit code 1; its last lines:\nno such data"):
        job.run(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_failed_measurement_ends_its_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "false")
    jobs = list(BENCHMARKS["ingest"].jobs("ingest", "v", {}, quick=True))
    assert run_benchmark("ingest", jobs, tmp_path) == {"ingest": "failed: segue"}


def test_a_peer_without_setup_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert find_peers(["RePlay"], tmp_path, set_up=False) == {}
    assert f"RePlay is left out: it is not in {tmp_path}" in capsys.readouterr().out
    monkeypatch.setenv("PYTHON", "false")
    assert find_peers(["RePlay"], tmp_path, set_up=True) == {}
    assert "RePlay is left out: its set-up failed" in capsys.readouterr().out


CANNED = record(
    warm_up=[],
    examples=9,
    test={"recall@10": 0.1, "ndcg@10": 0.05, "mrr@10": 0.03},
    epochs=entries(1.0),
    readings=entries(9.0),
    rankings=entries(0.5),
    fits=entries(2.0),
    rows=20_000_000,
)


def test_an_interrupted_run_is_resumed_and_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "README.md"
    ran: list[str] = []
    page.write_text("".join(f"<!-- {name}: begin -->\n<!-- {name}: end -->\n" for name in ("results", "handwritten")))

    def run(job: Job, folder: Path) -> Record:
        if job.name.startswith("eval.segue") and not ran.count("eval.segue.0"):
            ran.append("eval.segue.0")
            raise MeasurementFailed("no such data")
        ran.append(job.name)
        stored = {**CANNED, "command": list(job.command), "version": job.version}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{job.name}.json").write_text(json.dumps(stored))
        return stored

    monkeypatch.setattr(Job, "run", run)
    monkeypatch.setattr(bench, "BENCH", tmp_path)
    monkeypatch.setattr(bench, "README", page)
    monkeypatch.setattr(bench, "COMPLETE", tmp_path / "complete.json")
    monkeypatch.setattr(bench, "find_peers", lambda names, folder, set_up: PEERS)
    monkeypatch.setattr(bench, "missing_data", lambda: {"cds": "not measured: hgn-cds is not available"})
    with pytest.raises(SystemExit, match="1"):
        bench.main([])
    assert "README.md is unchanged: not measured: eval" in capsys.readouterr().out
    assert "| what |" not in page.read_text()

    first = len(ran)
    bench.main([])
    assert ran[first:] == ["eval.segue.0", *(f"eval.{variant}.{n}" for n in (1, 2) for variant in ("recbole", "segue"))]
    text = page.read_text()
    assert cells(text, "full ranking of ml-1m")[10:] == ["2.5 times", "no: time"]
    assert cells(text, "full ranking of ml-1m", below=1)[5:7] == ["1.0", "1.0"]
    assert cells(text, "full ranking of Amazon")[-1] == "not measured: hgn-cds is not available"
    assert "Measured 2026-01-31 by `make bench`" in text
    assert "RecBole ran on recbole 1.2.1" in text


def test_floating_point_operations_of_products() -> None:
    # one row, window 5 and two queries: 6 positions, d = 2
    user, history, target = torch.ones(1).long(), torch.ones(1, 6).long(), torch.ones(1, 4).long()
    batch = SequenceBatch(user, history, target, target_mask=torch.ones(1, 2, dtype=torch.bool))
    gates, scores = 6 * (4 + 2) + (4 + 2 * 5), 2 * 2 * (5 + 3) * 2
    assert products(batch, 2) == 6 * (gates + scores)


def test_all_implementations_compute_the_same_states() -> None:
    torch.manual_seed(0)
    cell, history = recurrent.ResetBeforeGRUCell(recurrent.DIM, recurrent.DIM), recurrent.sessions(1)[:20]
    table = torch.randn(recurrent.ITEMS + 1, recurrent.DIM) * 0.1
    with torch.no_grad():
        expected = recurrent.run_recurrence(history, table.__getitem__, cell)
        packed = recurrent.run_recurrence(history, table.__getitem__, recurrent.Packed(cell, recurrent.step))
        padded = [recurrent.padded(cell, table, history, one_product=one_product) for one_product in (False, True)]
    for found in (packed, *padded):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
