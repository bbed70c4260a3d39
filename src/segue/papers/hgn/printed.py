"""The settings that the HGN paper prints (sections 4 and 5.4), by method, in the words of this library.

The paper takes the architectures of the other methods from their own papers; their losses, negatives and optimisers
here are from there too. The weight lambda of (6) stands as `weight_decay`, as in the authors' program: lambda theta is
added to the gradient of each batch. By (6) it would be 2 lambda theta, once for the whole log.
"""

from __future__ import annotations

from collections.abc import Mapping

from segue.papers.printed import Printed

_ALL: Printed = {"embedding_dim": 50}
_SCORES: Printed = {"temperature": 0.0, "weight_decay": 0.0}
_SESSIONS: Printed = {
    **_ALL,
    **_SCORES,
    "lr": 0.001,
    "batch_size": 50,
    "bptt": "one",
    "window": None,
    "optimizer": "adagrad",
}
HGN: Printed = {
    **_ALL,
    "window": 5,
    "num_targets": 3,
    "training_windows": "full",
    "windows_per_row": 1,
    "lr": 0.001,
    "weight_decay": 0.001,
    "batch_size": 4096,
    "loss": "bpr",
    "num_negatives": 1,
    "negative_sampling": "per_target",
    "reduction": "sum",
    "window_encoder": "gates",
    "pooling": "avg",
    "feature_gate": True,
    "instance_gate": True,
    "item_item_product": True,
    "item_bias": False,
    "tied": False,
    "dropout": 0.0,
    "temperature": 0.0,
}
PRINTED: Mapping[str, Printed] = {
    "BPRMF": {**_ALL, "item_bias": False, "optimizer": "sgd"},
    "GRU4Rec": {
        **_SESSIONS,
        "loss": "top1",
        "num_negatives": 0,
        "input_embedding": "one-hot",
        "activation": "tanh",
    },
    "GRU4Rec+": {**_SESSIONS, "loss": "bpr-max", "num_negatives": 2048, "activation": "elu"},
    "NextItNet": {
        **_ALL,
        **_SCORES,
        "lr": 0.001,
        "batch_size": 32,
        "kernel_size": 3,
        "dilations": (1, 2),
        "num_repeats": 1,
        "loss": "ce",
        "tied": False,
    },
    "Caser": {
        **_ALL,
        "window": 5,
        "num_targets": 3,
        "training_windows": "full",
        "windows_per_row": 1,
        "num_horizontal_filters": 16,
        "num_vertical_filters": 4,
        "loss": "bce",
        "item_bias": True,
        "temperature": 0.0,
    },
    "SASRec": {
        **_ALL,
        **_SCORES,
        "window": 50,
        "num_blocks": 2,
        "num_heads": 1,
        "batch_size": 128,
        "loss": "bce",
        "num_negatives": 1,
        "negative_sampling": "per_target",
        "coverage": "last",
    },
    "HGN": HGN,
}
