"""The table that `make bench` writes, its command line, and what it keeps: on canned measurements."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.__main__ import measure_row, objection, parse
from benchmarks.jobs import Failed, Job, Record, measure
from benchmarks.peers import Events, pairs, quality
from benchmarks.plan import ROWS, own_version
from benchmarks.programs import PROGRAMS, Peer
from benchmarks.segue_side import KINDS, products
from benchmarks.sequence import SETTINGS, examples, headed, questions

from benchmarks import __main__ as bench
from benchmarks import recurrent, report
from segue.batches.batch import Batch
from segue.data.synthetic import random
from segue.evaluation.metrics import measure as measure_ranks
from segue.evaluation.ranks import Ranks
from segue.models.base.model import GradientModel, Sizes
from segue.models.registry import find

RECBOLE = Peer(python=Path("python-of-recbole"), arguments=("--root", "recbole"), versions="recbole 1.2.1")
PEERS = {
    name: RECBOLE if name == "RecBole" else Peer(python=Path(name), arguments=(), versions="") for name in PROGRAMS
}


def record(cpu: float = 1.0, *, peak: float = 100.0, **said: object) -> Record:
    return {"when": "2026-01-31T12:00:00+00:00", "cpu_s": cpu, "wall_s": 2 * cpu, "peak_mb": peak, "said": said}


def entries(*seconds: float) -> list[dict[str, float]]:
    return [{"cpu_s": cpu, "wall_s": 2 * cpu} for cpu in seconds]


def cells(table: str, what: str) -> list[str]:
    (line,) = [line for line in table.splitlines() if line.startswith(f"| {what}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_line_has_medians_of_medians_and_ratios() -> None:
    peer = [record(epochs=entries(30.0), peak=1000), record(epochs=entries(10.0), peak=1200)]
    own = [record(epochs=entries(9.0, 4.0, 5.0), peak=500)]
    table = report.table({"epoch-ce": {"RecBole": peer, "per_row=1": own}}, {})
    line = cells(table, "epoch, CE, ml-100k, window 50, per_row=1 ")
    assert line[1:] == ["RecBole", "20.0", "40.0", "1,100", "5.00", "10.0", "500", "4.0", "4.0", "4 times", "yes"]


@pytest.mark.parametrize(
    ("own_cpu", "recall", "met"),
    [
        (50.0, 0.2, "yes"),
        (50.0, 0.1, "yes"),
        (51.0, 0.1, "no: time"),
        (50.0, 0.09, "no: Recall@10"),
        (51.0, 0.09, "no: time, Recall@10"),
    ],
)
def test_the_whole_command_is_met_in_time_at_no_worse_quality(own_cpu: float, recall: float, met: str) -> None:
    figures = {"ndcg@10": 0.05, "mrr@10": 0.03}
    peer = record(500.0, test={"recall@10": 0.1, **figures}, epochs=27)
    own = record(own_cpu, test={"recall@10": recall, **figures}, epochs=20)
    results = {"whole": {"RecBole": [peer], "segue": [own]}}
    assert cells(report.table(results, {}), "whole")[-1] == met
    assert f"segue Recall@10 {recall:.4f}, NDCG@10 0.0500" in report.notes(results)


def test_absolute_targets_and_figures_from_elsewhere() -> None:
    own = record(epochs=entries(0.9), test=entries(2.0), peak=800)
    table = report.table({"cds": {"per_row=1": [own]}}, {})
    epoch = cells(table, "epoch, BPR, Amazon CDs, windows of 5 then 3, per_row=1")
    assert epoch[1:5] == ["–", "4.8†", "–", "2,000†"]
    assert epoch[8:] == ["–", "–", "1 CPU s, 700 MB", "no: memory"]
    assert cells(table, "full ranking of Amazon")[-1] == "no: time, memory"


def test_a_reading_has_a_peak_of_its_own() -> None:
    readings = [{"cpu_s": 10.0, "wall_s": 8.0, "peak_mb": 1500.0}]
    table = report.table({"ingest": {"segue": [record(peak=70, readings=readings)]}}, {})
    assert cells(table, "reading 20 million")[5:8] == ["10.0", "8.00", "1,500"]


def test_what_was_not_measured_says_why() -> None:
    table = report.table({"epoch-ce": {"per_row=1": [record(epochs=entries(1.0))]}}, {"cds": "hgn-cds is not here"})
    assert cells(table, "full ranking of Amazon")[-1] == "hgn-cds is not here"
    assert cells(table, "full ranking of ml-1m")[-1] == "not measured"
    assert cells(table, "epoch, CE, ml-100k, window 50, per_row=1 ")[-1] == "no peer"


def test_floor_is_arithmetic_and_traffic() -> None:
    floor = {"gemm_flops_s": 1e11, "memory_bytes_s": 3e10, "epoch_flops": 3e10, "epoch_bytes": 6e9, "eval_flops": 5e10}
    said = {**floor, "steps": 62, "parameters": 4_369_900}
    own = record(epochs=entries(1.0), test=entries(1.5))
    text = report.notes({"cds": {"per_row=1": [own], "floor per_row=1": [record(**said)]}})
    assert "30.0 GFLOP at the 100 GFLOP/s that a large product reaches here, 0.300 s" in text
    assert "at 30 GB/s, 0.200 s; together 0.500 s. segue takes 2.0 times that." in text
    assert "0.500 s; segue takes 3.0 times that." in text


def test_the_block_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.replace(page, "new")
    assert page.read_text() == f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n"
    page.write_text("no markers")
    with pytest.raises(SystemExit, match="put both lines back"):
        report.replace(page, "new")
    assert page.read_text() == "no markers"
    assert list(tmp_path.iterdir()) == [page]


def test_the_page_of_this_project_has_the_markers() -> None:
    text = (Path(__file__).resolve().parents[2] / "benchmarks/README.md").read_text()
    assert 0 < text.index(report.BEGIN) < text.index(report.END)


def test_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse([]).only == list(ROWS)
    args = parse(["--only", "eval,whole", "--quick", "--peers", "folder"])
    assert (args.only, args.quick, args.peers) == (["whole", "eval"], True, Path("folder"))
    with pytest.raises(SystemExit, match="2"):
        parse(["--only", "evil"])
    assert "no row 'evil'; there are: whole, epoch-ce" in capsys.readouterr().err


def test_every_job_is_a_command_that_its_program_knows() -> None:
    for name, row in ROWS.items():
        jobs = list(row.jobs(name, "v", PEERS, quick=False))
        assert len({job.name for _, job in jobs}) == len(jobs)
        assert {line.side for line in row.lines} <= {side.label for side in row.sides}
        for side, job in jobs:
            script = PROGRAMS[side.label].script if side.label in PROGRAMS else "segue_side"
            assert job.command[1:3] == ("-m", f"benchmarks.{script}")
            if script == "segue_side":
                assert job.command[3] in KINDS
        assert all(side.label not in PROGRAMS for side, _ in row.jobs(name, "v", {}, quick=False))


def test_every_program_has_its_script_and_its_setup() -> None:
    folder = Path(report.__file__).parent
    for program in PROGRAMS.values():
        assert (folder / f"{program.script}.py").is_file()
        assert (folder / f"{program.folder}_setup.sh").is_file()
    assert {program.environment for program in PROGRAMS.values()} <= {p.folder for p in PROGRAMS.values()}


def test_the_fastest_peer_counts_and_the_best_one_too() -> None:
    peers = {
        "RecTools": [record(epochs=entries(60.0), test={"ndcg@10": 0.03}, warm_up=[], examples=9)],
        "RePlay": [record(epochs=entries(30.0), test={"ndcg@10": 0.02}, warm_up=entries(31.0), examples=9)],
    }
    own = record(epochs=entries(20.0), test={"ndcg@10": 0.025}, warm_up=[], examples=9)
    results = {"sasrec-ce": {**peers, "segue": [own]}}
    line = cells(report.table(results, {}), "epoch, CE, ml-1m, SASRec, the last 100")
    assert line[1:3] == ["RePlay", "30.0"]
    assert line[8:] == ["1.5", "1.5", "1.5 times, no worse NDCG@10", "no: NDCG@10"]
    assert "RePlay 30.0 CPU s an epoch of 9 pairs, NDCG@10 0.0200 after 2 epochs" in report.notes(results)


EVENTS = Events(np.array([1, 2, 3, 4, 5, 3, 1, 2, 2, 4]), np.array([0, 5, 8, 10]))  # users of 5, 3 and 2 rows


def test_the_peers_read_the_rows_that_segue_trains_on() -> None:
    user, item, position = EVENTS.but_last(2)
    assert (user.tolist(), item.tolist(), position.tolist()) == ([1, 1, 1, 2], [1, 2, 3, 3], [0, 1, 2, 0])
    assert EVENTS.last.tolist() == [5, 2, 4]
    assert pairs(EVENTS) == 2
    assert pairs(EVENTS, 1) == 1


def test_lists_are_measured_as_segue_measures_ranks() -> None:
    rng = np.random.default_rng(0)
    lists = np.array([rng.permutation(30)[:10] for _ in range(200)])
    targets = rng.integers(0, 30, 200)
    rank = [[*row, target].index(target) + 1 for row, target in zip(lists, targets, strict=True)]
    ranks = Ranks(np.arange(200), np.array(rank), np.arange(201), lists.astype(np.int32), depth=10, dropped={})
    for metric, value in quality(lists, targets).items():
        assert value == pytest.approx(measure_ranks(ranks, metric).mean(), abs=1e-5)


@pytest.mark.parametrize("setting", SETTINGS)
def test_an_epoch_holds_as_many_pairs_as_it_says(setting: str) -> None:
    name, settings = SETTINGS[setting]
    kind = find(name)
    log = random(num_users=130, num_items=300, length=60, seed=0)
    torch.manual_seed(0)
    model = kind(kind.configure({**settings, "epochs": 1}, None), Sizes(log.num_users, log.num_items))
    assert isinstance(model, GradientModel)
    assert examples(model, log) == questions(log, settings)
    few = headed(kind, 1)
    assert (
        0
        < examples(few(few.configure(settings, None), Sizes(log.num_users, log.num_items)), log)
        <= questions(log, settings)
    )


def test_sides_take_turns_and_every_run_has_its_seed() -> None:
    jobs_of_whole = ROWS["whole"].jobs("whole", "v", PEERS, quick=False)
    jobs = [(side.label, job.command[job.command.index("--seed") + 1]) for side, job in jobs_of_whole]
    assert jobs == [("RecBole", "2020"), ("segue", "0"), ("segue", "1"), ("segue", "2")]


def test_only_complete_results_of_one_source_are_for_the_page() -> None:
    full = {
        name: {side.label: [record()] * row.rounds * side.times for side in row.sides} for name, row in ROWS.items()
    }
    version = own_version()
    assert objection(full, {}, version) == ""
    assert objection(full, {}, "older") == "the source was changed while it was measured; run it again"
    del full["cds"], full["eval"]["RecBole"]
    assert objection(full, {}, version) == "not measured: eval, cds"
    assert objection(full, {"cds": "not here"}, version) == "not measured: eval"


def test_a_kept_result_counts_only_for_the_same_measurement(tmp_path: Path) -> None:
    code = "import json; print('noise'); print(json.dumps({'x': 1}))"
    job = Job("job", (sys.executable, "-c", code), version="1", usual=1)
    assert job.kept(tmp_path) is None
    made = job.run(tmp_path)
    assert made["said"] == {"x": 1}
    assert made["cpu_s"] > 0
    assert made["peak_mb"] > 1
    assert job.kept(tmp_path) == made
    assert Job("job", job.command, version="2", usual=1).kept(tmp_path) is None
    assert Job("job", (*job.command, "more"), version="1", usual=1).kept(tmp_path) is None
    (tmp_path / "job.json").write_text("{")
    assert job.kept(tmp_path) is None


def test_children_have_one_thread() -> None:
    code = "import json, os; print(json.dumps(os.environ['OMP_NUM_THREADS'] + os.environ['POLARS_MAX_THREADS']))"
    assert measure([sys.executable, "-c", code])["said"] == "11"


def test_a_failure_ends_in_its_last_words(tmp_path: Path) -> None:
    job = Job("job", (sys.executable, "-c", "raise SystemExit('no such data')"), version="", usual=1)
    with pytest.raises(Failed, match="exit code 1; it said:\nno such data"):
        job.run(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_failed_measurement_is_told_and_ends_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "false")
    jobs = list(ROWS["ingest"].jobs("ingest", "v", {}, quick=True))
    assert measure_row("ingest", jobs, tmp_path) == {"ingest": "failed: segue"}


def test_a_peer_that_cannot_be_had_is_told_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHON", "false")
    assert bench.find_peers(["RePlay"], tmp_path) == {}
    assert "RePlay is left out: its set-up ended early" in capsys.readouterr().out


CANNED = record(
    warm_up=[],
    examples=9,
    test={"recall@10": 0.1, "ndcg@10": 0.05, "mrr@10": 0.03},
    epochs=entries(1.0),
    readings=entries(9.0),
    rows=20_000_000,
)


def test_a_stopped_run_is_taken_up_and_ends_in_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "README.md"
    ran: list[str] = []
    page.write_text(f"{report.BEGIN}\n{report.END}\n")

    def run(job: Job, folder: Path) -> Record:
        if job.name.startswith("eval.segue") and not ran.count("eval.segue.0"):
            ran.append("eval.segue.0")
            raise Failed("no such data")
        ran.append(job.name)
        said = {**CANNED["said"], **({"test": entries(0.5)} if job.name.startswith("eval") else {})}
        made = {**CANNED, "said": said, "command": list(job.command), "version": job.version}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{job.name}.json").write_text(json.dumps(made))
        return made

    monkeypatch.setattr(Job, "run", run)
    monkeypatch.setattr(bench, "BENCH", tmp_path)
    monkeypatch.setattr(bench, "README", page)
    monkeypatch.setattr(bench, "find_peers", lambda names, folder: PEERS)
    monkeypatch.setattr(bench, "unavailable", lambda: {"cds": "not measured: hgn-cds is not here"})
    with pytest.raises(SystemExit, match="1"):
        bench.main([])
    assert "README.md is as it was: not measured: eval" in capsys.readouterr().out
    assert "| what |" not in page.read_text()

    first = len(ran)
    bench.main([])
    assert ran[first:] == ["eval.segue.0", *(f"eval.{side}.{n}" for n in (1, 2) for side in ("recbole", "segue"))]
    text = page.read_text()
    assert cells(text, "full ranking of ml-1m")[8:] == ["1.0", "1.0", "2.5 times", "no: time"]
    assert cells(text, "full ranking of Amazon")[-1] == "not measured: hgn-cds is not here"
    assert "Measured 2026-01-31 by `make bench`" in text
    assert "RecBole ran on recbole 1.2.1" in text


def test_the_floor_can_be_counted_by_hand() -> None:
    # one row, window 5 and two questions: 6 positions, d = 2
    asked = torch.ones(1, 2, dtype=torch.bool)
    batch = Batch(torch.ones(1, dtype=torch.long), torch.ones(1, 6, dtype=torch.long), asked=asked)
    gates, scores = 6 * (4 + 2) + (4 + 2 * 5), 2 * 2 * (5 + 3) * 2
    assert products(batch, 2) == 6 * (gates + scores)


def test_all_ways_compute_the_same_states() -> None:
    torch.manual_seed(0)
    cell, history = recurrent.ResetBeforeGRUCell(recurrent.DIM, recurrent.DIM), recurrent.sessions(1)[:20]
    table = torch.randn(recurrent.ITEMS + 1, recurrent.DIM) * 0.1
    with torch.no_grad():
        expected = recurrent.run(history, table.__getitem__, cell)
        packed = recurrent.run(history, table.__getitem__, recurrent.Packed(cell, recurrent.step))
        padded = [recurrent.padded(cell, table, history, at_once=at_once) for at_once in (False, True)]
    for found in (packed, *padded):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
