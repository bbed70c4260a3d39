"""`BENCHMARKS`: all benchmarks by name."""

from __future__ import annotations

from benchmarks.benchmark import Benchmark, TableRow, Variant

LOWERED = "lowered from 3 times when segue took as long as the program of the author"
FEW_BATCHES = "--batches 5 --repeat 1"
COMPILED_PEER = "implicit is a C++ program for this one purpose, so segue may take longer"


def prefixes(
    model: str, min_speedup: float, *variants: Variant, data: str = "ml-1m", warprec: bool = False
) -> Benchmark:
    """A sequence model of RecBole or WarpRec, which copy every prefix, and of segue. Few batches are run and scaled."""
    short = "--batches 1 --warm-up 0 --repeat 1"
    peers = [
        Variant("RecBole", f"epoch --data {data} --model {model} --batches 3", 60, seed=2020, quick=short),
        *[Variant("WarpRec", f"--model {model} --batches 3", 60, quick=short)] * warprec,
    ]
    table_rows = tuple(
        TableRow(
            label=f"epoch, CE, {data}, {model}, every prefix of 50{_suffix(variant)}",
            variant=variant.label,
            part="epochs",
            min_speedup=min_speedup,
        )
        for variant in variants
    )
    return Benchmark(data=(data,), variants=(*peers, *variants), rounds=1, table_rows=table_rows)


def transformer(model: str, *variants: Variant, label: str) -> Benchmark:
    """A transformer of peers and of segue, on the last 100 of each user of ml-1m; whole epochs, then a test."""
    row = TableRow(
        label=f"epoch, {label}, ml-1m, {model}, the last 100 of each user",
        variant="segue",
        part="epochs",
        min_speedup=1.5,
        quality_metrics=("ndcg@10",),
    )
    return Benchmark(data=("ml-1m",), variants=variants, rounds=1, table_rows=(row,))


def truncated(setting: str, batches: int, expected_seconds: float) -> Variant:
    """segue with the first batches of each epoch; the time is scaled."""
    arguments = f"sequence --setting {setting} --batches {batches} --repeat 2"
    return Variant("segue", arguments, expected_seconds, quick="--batches 5 --repeat 1")


def sessions(loss: str, setting: str) -> Benchmark:
    """The GRU4Rec author's program and segue: 100 units, 64 parallel sessions, 2,048 shared negatives; one epoch."""
    short = "--batches 50 --warm-up 1"
    whole = "--warm-up 0 --repeat 1"
    return Benchmark(
        data=("ml-1m",),
        variants=(
            Variant("GRU4Rec", f"--loss {loss} {whole}", 100, quick=short),
            Variant("segue", f"sequence --setting {setting} {whole}", 90, quick=short),
        ),
        rounds=1,
        table_rows=(
            TableRow(
                label=f"epoch, {loss}, ml-1m, GRU4Rec, 64 parallel sessions",
                variant="segue",
                part="epochs",
                min_speedup=1.8,
                target_note=LOWERED,
                quality_metrics=("ndcg@10",),
            ),
        ),
    )


def _suffix(variant: Variant) -> str:
    return "" if variant.label == "segue" else f", {variant.label}"


BENCHMARKS: dict[str, Benchmark] = {
    "whole": Benchmark(
        data=("ml-100k",),
        variants=(
            Variant("RecBole", "whole", 640, seed=2020, quick=None),
            Variant("segue", "whole", 60, runs_per_round=3, quick="--quick --repeat 2"),
        ),
        rounds=1,
        table_rows=(
            TableRow(
                label="whole command, ml-100k: from process start to the test figures",
                variant="segue",
                part=None,
                min_speedup=10,
                quality_metrics=("recall@10", "ndcg@10"),
            ),
        ),
    ),
    "epoch-ce": Benchmark(
        data=("ml-100k",),
        variants=(
            Variant("RecBole", "epoch --data ml-100k --loss CE --repeat 2", 45, seed=2020, quick="--batches 3"),
            Variant("windows_per_row=1", "epoch --data ml-100k --loss CE --windows-per-row 1 --repeat 2", 25),
            Variant("windows_per_row=16", "epoch --data ml-100k --loss CE --windows-per-row 16 --repeat 2", 10),
        ),
        rounds=2,
        table_rows=tuple(
            TableRow(label=f"epoch, CE, ml-100k, window 50, {variant}", variant=variant, part="epochs", min_speedup=4)
            for variant in ("windows_per_row=1", "windows_per_row=16")
        ),
    ),
    "epoch-bpr": Benchmark(
        data=("ml-1m",),
        variants=(
            Variant("RecBole", "epoch --data ml-1m --loss BPR --repeat 2", 75, seed=2020, quick="--batches 20"),
            Variant("windows_per_row=1", "epoch --data ml-1m --loss BPR --windows-per-row 1 --repeat 2", 25),
            Variant("windows_per_row=16", "epoch --data ml-1m --loss BPR --windows-per-row 16 --repeat 2", 12),
        ),
        rounds=2,
        table_rows=tuple(
            TableRow(label=f"epoch, BPR, ml-1m, window 5, {variant}", variant=variant, part="epochs", min_speedup=6)
            for variant in ("windows_per_row=1", "windows_per_row=16")
        ),
    ),
    "eval": Benchmark(
        data=("ml-1m",),
        variants=(
            Variant("RecBole", "eval --data ml-1m --loss BPR --repeat 5", 25, seed=2020),
            Variant("segue", "eval --data ml-1m --loss BPR --repeat 9", 6),
        ),
        rounds=3,
        table_rows=(
            TableRow(
                label="full ranking of ml-1m's test part, window 5", variant="segue", part="rankings", min_speedup=2.5
            ),
        ),
    ),
    "cds": Benchmark(
        data=("hgn-cds",),
        variants=(
            Variant("windows_per_row=1", "cds --windows-per-row 1 --repeat 5", 30),
            Variant("windows_per_row=4", "cds --windows-per-row 4 --repeat 5", 20),
            Variant("floor windows_per_row=1", "floor --windows-per-row 1", 8),
            Variant("floor windows_per_row=4", "floor --windows-per-row 4", 8),
        ),
        rounds=1,
        table_rows=(
            *(
                TableRow(
                    label=f"epoch, BPR, Amazon CDs, windows of 5 then 3, {variant}",
                    variant=variant,
                    part="epochs",
                    cpu_s=1.0,
                    peak_mb=700,
                    reported_elsewhere=("4.8", "–", "2,000"),
                )
                for variant in ("windows_per_row=1", "windows_per_row=4")
            ),
            TableRow(
                label="full ranking of Amazon CDs' test part",
                variant="windows_per_row=1",
                part="rankings",
                cpu_s=1.5,
                peak_mb=700,
                reported_elsewhere=("26 to 32", "–", "2,000"),
            ),
        ),
    ),
    "ingest": Benchmark(
        data=(),
        variants=(Variant("segue", "ingest --repeat 3", 120, quick="--quick --repeat 1"),),
        rounds=1,
        table_rows=(
            TableRow(
                label="reading 20 million events: CSV, 5-core, sort, save",
                variant="segue",
                part="readings",
                cpu_s=15,
                peak_mb=2000,
            ),
        ),
    ),
    "sasrec-bce": Benchmark(
        data=("ml-1m",),
        variants=(
            Variant("RecTools", "--loss BCE --repeat 9", 130, quick="--batches 5 --repeat 1"),
            Variant("segue", "sequence --setting sasrec-bce --repeat 9", 60, quick="--batches 5 --repeat 1"),
        ),
        rounds=1,
        table_rows=(
            TableRow(
                label="epoch, BCE, ml-1m, SASRec, the last 100 of each user",
                variant="segue",
                part="epochs",
                min_speedup=1.5,
                quality_metrics=("ndcg@10",),
            ),
        ),
    ),
    "sasrec-ce": Benchmark(
        data=("ml-1m",),
        variants=(
            Variant("RecTools", "--loss softmax --repeat 2", 220, quick="--batches 5 --repeat 1"),
            Variant("RePlay", "--repeat 2", 150, quick="--batches 5 --repeat 1"),
            Variant("segue", "sequence --setting sasrec-ce --repeat 2", 50, quick="--batches 5 --repeat 1"),
        ),
        rounds=1,
        table_rows=(
            TableRow(
                label="epoch, CE, ml-1m, SASRec, the last 100 of each user",
                variant="segue",
                part="epochs",
                min_speedup=1.5,
                quality_metrics=("ndcg@10",),
            ),
        ),
    ),
    "bert4rec": transformer(
        "BERT4Rec",
        Variant("RecTools", "--model BERT4Rec --num-heads 2 --loss softmax", 300, quick=FEW_BATCHES),
        Variant("RePlay", "--model BERT4Rec --num-heads 2", 200, quick=FEW_BATCHES),
        Variant("segue", "sequence --setting bert4rec-ce --repeat 2", 60, quick=FEW_BATCHES),
        label="masked, CE",
    ),
    "esasrec": transformer(
        "eSASRec",
        Variant("RecTools", "--model eSASRec --loss sampled_softmax", 700, quick=FEW_BATCHES),
        Variant("segue", "sequence --setting esasrec-sampled --repeat 2", 60, quick=FEW_BATCHES),
        label="256 negatives a target",
    ),
    "hstu": transformer(
        "HSTU, the moment known",
        Variant("RecTools", "--model HSTU --loss softmax", 350, quick=FEW_BATCHES),
        Variant("segue", "sequence --setting hstu-ce --repeat 2", 60, quick=FEW_BATCHES),
        label="CE",
    ),
    "item-knn": Benchmark(
        data=("ml-1m",),
        variants=(Variant("implicit", "item-knn --repeat 5", 12), Variant("segue", "item-knn --repeat 5", 20)),
        rounds=2,
        table_rows=(
            TableRow(
                label="fitting item-KNN, ml-1m: cosine, 100 neighbours",
                variant="segue",
                part="fits",
                min_speedup=1 / 1.5,
                target_note=COMPILED_PEER,
            ),
            TableRow(
                label="ranking of ml-1m's test part by item-KNN, whole history",
                variant="segue",
                part="rankings",
                min_speedup=1 / 1.5,
                target_note=COMPILED_PEER,
            ),
        ),
    ),
    "bprmf": Benchmark(
        data=("ml-1m",),
        variants=(
            Variant("implicit", "bprmf --repeat 19", 10),
            Variant("optimizer=sgd", "bprmf --preset learnbpr --repeat 19", 15),
            Variant("optimizer=adam", "bprmf --repeat 19", 50),
        ),
        rounds=2,
        table_rows=tuple(
            TableRow(
                label=f"epoch, BPR-MF, ml-1m, 64 dimensions, {variant}",
                variant=variant,
                part="epochs",
                min_speedup=1 / 2,
                target_note=COMPILED_PEER,
                quality_metrics=("ndcg@10",),
            )
            for variant in ("optimizer=sgd", "optimizer=adam")
        ),
    ),
    "sasrec-50": prefixes("SASRec", 50, truncated("sasrec-50", 100, 35), warprec=True),
    "gru4rec-50": prefixes("GRU4Rec", 50, truncated("gru4rec-50", 100, 25), warprec=True),
    "nextitnet-50": prefixes("NextItNet", 50, truncated("nextitnet-50", 100, 45)),
    "narm-50": prefixes("NARM", 3, truncated("narm-50", 40, 35), data="ml-100k"),
    "stamp-50": prefixes("STAMP", 3, truncated("stamp-50", 40, 20), data="ml-100k"),
    "caser-50": prefixes(
        "Caser",
        5,
        Variant(
            "windows_per_row=1",
            "sequence --setting caser-50 --windows-per-row 1 --batches 4 --repeat 1",
            90,
            quick="--batches 1 --warm-up 0 --repeat 1",
        ),
        Variant(
            "windows_per_row=16",
            "sequence --setting caser-50 --windows-per-row 16 --batches 40 --repeat 2",
            90,
            quick="--batches 1 --warm-up 0 --repeat 1",
        ),
    ),
    "gru4rec-ce": sessions("cross-entropy", "gru4rec-ce"),
    "gru4rec-bprmax": sessions("bpr-max", "gru4rec-bprmax"),
    "handwritten": Benchmark(
        data=(),
        variants=(Variant("segue", "handwritten --repeat 9", 200, quick="--repeat 1"),),
        rounds=1,
        table_rows=(),  # a table of its own
    ),
}
