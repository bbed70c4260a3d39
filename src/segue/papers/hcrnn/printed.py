"""The settings that the HCRNN paper prints ("Experiment Settings", equations 13 to 34), in the words of this library.

The batch has 512 prefixes. What is tested as HCRNN-1 to 3 also has an attention, of one channel: this is from the
authors' program, and so are the softmax of NARM and the full softmax of all networks. The sizes K, the number of epochs
and the longest sequence are not printed.
"""

from __future__ import annotations

from collections.abc import Mapping

from segue.papers.printed import Printed

BATCH_SIZE = 512  # prefixes
_VECTORS: Printed = {"embedding_dim": 100, "lr": 0.001, "batch_size": BATCH_SIZE}
_NETWORK: Printed = {**_VECTORS, "dropout": 0.25, "hidden_dropout": 0.5}
_HCRNN: Printed = {
    **_NETWORK,
    "hidden_dim": 100,
    "reset_context": "current",
    "sigma_parametrization": "log",
    "attention_scale": "hidden_dim",
    "kl_weight": 1.0,
    "posterior_noise": 1.0,
}
PRINTED: Mapping[str, Printed] = {
    "POP": {},
    "S-POP": {},
    "BPR-MF": _VECTORS,
    "LSTM4REC": _NETWORK,
    "GRU4REC": _NETWORK,
    "NARM": {**_NETWORK, "hidden_dim": 100},
    "STAMP": {**_VECTORS, "dropout": 0.25, "lr": 0.005},
    "HCRNN-1": {**_HCRNN, "variant": 1, "attention": "single"},
    "HCRNN-2": {**_HCRNN, "variant": 2, "attention": "single"},
    "HCRNN-3": {**_HCRNN, "variant": 3, "attention": "single"},
    "HCRNN-3 + Bi": {**_HCRNN, "variant": 3, "attention": "bi"},
}
