"""Criteo's Tables 2 and 3: its settings, and how many weights its models have on its two logs.

The printed numbers are rounded. Nothing is trained: the models are built for as many items as the logs have.
"""

from __future__ import annotations

import torch

from segue.models.base.model import Sizes
from segue.models.registry import find
from segue.papers.reproduction import Reproduction, Row
from segue.papers.run_cache import RunCache

LOGS = {"YooChoose": 37_483, "Internal": 208_418}
# name -> model, preset, millions printed
METHODS: dict[str, tuple[str, str, tuple[float, float]]] = {
    "CoEvent MF": ("coevent-mf", "paper", (7.5, 41.6)),
    "CoEvent MF + RE": ("coevent-mf", "re", (3.75, 20.8)),
    "GRU": ("gru", "plain", (7.6, 41.7)),
    "GRU + RE": ("gru", "re", (3.8, 20.9)),
    "GRU + LN": ("gru", "ln", (7.6, 41.7)),
    "GRU + RE + LN": ("gru", "paper", (3.8, 20.9)),
    "Stacked GRU + RE + LN": ("gru", "stacked", (3.9, 21.0)),
    "HM-LSTM + RE + LN": ("hm-lstm", "paper", (4.0, 21.1)),
}
SETTINGS = ("lr", "final_lr", "lr_decay_power", "lr_decay_steps", "embedding_dim", "batch_size")  # Table 2


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Count; `runs` and `quick` change nothing."""
    rows = []
    for name, (model, preset, printed) in METHODS.items():
        for (log, items), paper in zip(LOGS.items(), printed, strict=True):
            rows.append(Row(method=name, metric=f"{log}, M", ours=(weights(model, preset, items) / 1e6,), paper=paper))
    config = find("gru").configure()
    table2 = ", ".join(f"{name} {getattr(config, name):g}" for name in SETTINGS)
    return Reproduction(
        title="Criteo's study (2018), Table 3: millions of weights",
        rows=tuple(rows),
        notes=(
            f"Table 2, the defaults of these models: {table2}.",
            "Without the row of padding that each table of item vectors has on top. The paper does not say how many "
            "layers its HM-LSTM has: two, with the output module, come to its figure.",
        ),
        details={"quick": False},
    )


def weights(model: str, preset: str, items: int) -> int:
    """How many weights a model has for so many items, padding not counted."""
    kind = find(model)
    with torch.device("meta"):
        built = kind(kind.configure(preset=preset), Sizes(1, items))
    padded = sum(weight.shape[1] for weight in built.parameters() if weight.shape[0] == items + 1)
    return sum(weight.numel() for weight in built.parameters()) - padded
