"""The tables of the page, from prepared measurements."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.jobs import Record
from benchmarks.results_file import COMPLETE, CompleteRun, Results
from measured import cells, entries, record

from benchmarks import __main__ as bench
from benchmarks import report


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


def test_a_target_below_one_is_said_in_words_and_has_a_note() -> None:
    peer, own = (record(fits=entries(fit), rankings=entries(rank)) for fit, rank in ((0.3, 1.0), (2.0, 1.2)))
    results = {"item-knn": {"implicit": [peer], "segue": [own]}}
    table = report.table(results, {})
    assert cells(table, "fitting item-KNN")[10:] == ["at most 1.5 times as long", "no: time"]
    assert cells(table, "fitting item-KNN", below=1)[5:7] == ["0.15", "0.15"]
    assert cells(table, "ranking of ml-1m's test part by item-KNN")[-1] == "yes"
    assert "* fitting item-KNN, ml-1m: cosine, 100 neighbours; ranking of ml-1m's" in notes(results)


def test_without_a_test_there_is_no_verdict_on_accuracy() -> None:
    runs = {"GRU4Rec": [record(epochs=entries(60.0))], "segue": [record(epochs=entries(20.0))]}
    line = cells(report.table({"gru4rec-ce": runs}, {}), "epoch, cross-entropy, ml-1m, GRU4Rec")
    assert line[7:10] == ["–", "–", "–"]
    assert line[-1] == "not tested"


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


def test_the_page_has_the_tables_of_the_committed_results() -> None:
    page = bench.README.read_text("utf-8")
    for name, block in report.blocks(CompleteRun.read(COMPLETE)).items():
        begin, end = report.BEGIN.format(name), report.END.format(name)
        assert f"{begin}\n\n{block.strip()}\n\n{end}" in page
