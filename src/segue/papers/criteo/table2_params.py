"""Criteo's Tables 2 and 3: its settings, and the number of parameters of its models on its two logs.

The published numbers are rounded. Nothing is trained: the models are only built for the number of items of each log.
"""

from __future__ import annotations

import torch

from segue.models.base.model import Sizes
from segue.models.registry import find
from segue.papers.reproduction import Reproduction, Row
from segue.papers.run_cache import RunCache

_LOGS = {"YooChoose": 37_483, "Internal": 208_418}
# name -> model, preset, published millions of parameters
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
    """Count the parameters; `runs` and `quick` are not used."""
    rows = []
    for name, (model, preset, published) in METHODS.items():
        for (log, num_items), figure in zip(_LOGS.items(), published, strict=True):
            millions = num_parameters(model, preset, num_items) / 1e6
            rows.append(Row.counted(name, f"{log}, M", millions, published=figure))
    config = find("gru").configure()
    table2 = ", ".join(f"{name} {getattr(config, name):g}" for name in SETTINGS)
    return Reproduction(
        title="Criteo's study (2018), Table 3: millions of parameters",
        rows=tuple(rows),
        notes=(
            f"Table 2, the defaults of these models: {table2}.",
            "The padding row of each item embedding is not counted. The paper does not state the number of layers of "
            "its HM-LSTM: two, with the output module, give its figure. The 41.6 of CoEvent MF, whose number here is "
            "41.68, is twice the printed 20.8.",
        ),
        details={"quick": False},
    )


def num_parameters(model: str, preset: str, num_items: int) -> int:
    """The number of parameters of a model, without padding rows."""
    model_class = find(model)
    with torch.device("meta"):
        built = model_class(model_class.configure(preset=preset), Sizes(1, num_items))
    padded = sum(weight.shape[1] for weight in built.parameters() if weight.shape[0] == num_items + 1)
    return sum(weight.numel() for weight in built.parameters()) - padded
