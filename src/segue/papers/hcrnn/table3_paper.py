"""HCRNN's Table 3 as the paper says: its methods with the settings that it prints, on CiteULike.

On MovieLens they are in `segue.papers.hcrnn.table3_paper_movielens`. What the paper leaves open is as in the sources of
the methods, or in the authors' program. The number of epochs is chosen on validation. Best here is
`segue.papers.hcrnn.table3`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from segue.experiments.experiment import Experiment
from segue.papers.hcrnn.common import METHOD_SPECS, METRICS, MONITOR, PROTOCOL
from segue.papers.hcrnn.printed import BATCH_SIZE, PRINTED
from segue.papers.methods import SEEDS, Method, printed_method, seeds_of
from segue.papers.printed_table import PrintedTable
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

SEQUENCES = 16  # have about as many prefixes as a batch of the paper
ROWS: dict[str, Any] = {"batch_size": SEQUENCES, "epochs": 100}
HCRNN: dict[str, Any] = {"epochs": 40}
BATCH_NOTE = (
    f"A batch of LSTM4REC, GRU4REC, NARM and STAMP has {SEQUENCES} sequences with all of their prefixes, about "
    f"{BATCH_SIZE} of them. The paper draws {BATCH_SIZE} prefixes of any sequences."
)


def methods_as_printed(log: str, *, refit: bool) -> tuple[Method, ...]:
    """The methods of the paper and two baselines that need no training. HCRNN, whose training is long, has one seed.

    Args:
        log: its name in the catalogue.
        refit: whether the tested models are trained on train and validation.
    """

    def experiment(model: str, preset: str | None = None, patience: int = 5, **settings: Any) -> Experiment:
        return Experiment(
            model=model,
            preset=preset,
            protocol=PROTOCOL,
            settings=settings,
            monitor=MONITOR,
            patience=patience,
            refit=refit,
        )

    experiments = {
        "POP": experiment("pop"),
        "S-POP": experiment("s-pop"),
        "BPR-MF": experiment("bprmf", epochs=100),
        "LSTM4REC": experiment("lstm4rec", window=100, tied=False, lr_decay_steps=0, **ROWS),
        "GRU4REC": experiment("gru", "hcrnn", window=100, **ROWS),
        "NARM": experiment("narm", "hcrnn", **ROWS),
        "STAMP": experiment("stamp", "hcrnn", **ROWS),
        **{name: experiment("hcrnn", patience=3, **HCRNN) for name in PRINTED if name.startswith("HCRNN")},
    }
    simple = (METHOD_SPECS[name].method(name, log, PROTOCOL, SEEDS[:1]) for name in ("Item-KNN", "Sequential rules"))
    return (
        *(replace(method, experiment=replace(method.experiment, refit=refit)) for method in simple),
        *(
            printed_method(
                name,
                experiments[name],
                printed,
                published={
                    metric: value / 100
                    for metric, value in zip(METRICS, METHOD_SPECS[name].published[log], strict=True)
                },
                seeds=SEEDS[:1] if name.startswith("HCRNN") else seeds_of(experiments[name].model),
            )
            for name, printed in PRINTED.items()
        ),
    )


METHODS = methods_as_printed("citeulike", refit=False)
TABLE = PrintedTable(
    title="HCRNN (AAAI 2019), Table 3, CiteULike, the authors' split, as the paper says",
    log="citeulike",
    log_title="CiteULike",
    protocol=PROTOCOL,
    methods=METHODS,
    metrics=METRICS,
    notes=(BATCH_NOTE,),
)


def reproduce(*, runs: RunCache, quick: bool = False, methods: Sequence[str] = ()) -> Reproduction:
    """Train and test the named methods, by default all of them."""
    return TABLE.reproduce(runs=runs, quick=quick, methods=methods)
