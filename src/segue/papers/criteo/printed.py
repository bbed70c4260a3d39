"""The settings that Criteo's study prints (Table 2, sections 3 and 4), by method, in the words of this library.

Table 2 holds for all models. The softmax (6) is over all items, the equations have neither dropout nor a penalty, and
sessions of YooChoose are not cut. Layer normalisation is that of its source. The study trains on the training part. It
prints neither the number of epochs nor the layers of its HM-LSTM.
"""

from __future__ import annotations

from collections.abc import Mapping

from segue.papers.printed import Printed

TABLE_2: Printed = {
    "lr": 0.01,
    "final_lr": 0.001,
    "lr_decay_power": 0.5,
    "lr_decay_steps": 50_000,
    "embedding_dim": 100,
    "batch_size": 128,
}
_COUNTED: Printed = {"refit": False}
_TRAINED: Printed = {**TABLE_2, "loss": "ce", "temperature": 0.0, "dropout": 0.0, "weight_decay": 0.0, "refit": False}
_NETWORK: Printed = {**_TRAINED, "hidden_dropout": 0.0, "window": None}
_GRU: Printed = {**_NETWORK, "tied": False, "layer_norm": "none", "num_layers": 1}
_RE: Printed = {"tied": True}
_LN: Printed = {"layer_norm": "joint"}
PRINTED: Mapping[str, Printed] = {
    "POP": _COUNTED,
    "Item-KNN": {**_COUNTED, "similarity": "lift", "shrinkage": 0.0, "window": 1},
    "CoEvent MF": {**_TRAINED, "tied": False},
    "CoEvent MF + RE": {**_TRAINED, "tied": True},
    "GRU": _GRU,
    "GRU + RE": {**_GRU, **_RE},
    "GRU + LN": {**_GRU, **_LN},
    "GRU + RE + LN": {**_GRU, **_RE, **_LN},
    "Stacked GRU + RE + LN": {**_GRU, **_RE, **_LN, "num_layers": 2},
    "HM-LSTM + RE + LN": {**_NETWORK, "layer_norm": True},
}
