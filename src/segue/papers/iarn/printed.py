"""The settings that IARN's paper prints (section 4.1, equations 1 to 13), by method, in the words of this library."""

from __future__ import annotations

from typing import Any

from segue.models.ratings.iarn.feature_encoder import FeatureEncoding
from segue.papers.printed import OneOf, Printed

GRID = OneOf((1e-5, 1e-4, 1e-3, 1e-2, 1e-1))  # of the learning rate and of the weight of the penalty
DROPOUT = OneOf((0.0, 0.25, 0.5))
HIDDEN = 64  # of all recurrent networks and of NCF, from 32, 64 and 128
PLAIN, FULL = "IARN-Plain", "IARN"
BACKBONES = {"RNN-backbone": "rnn", "LSTM-backbone": "lstm", "TAGM-backbone": "tagm", PLAIN: "iarn"}


def printed_settings(dim: int, encoder: FeatureEncoding, longest_history: int) -> dict[str, Printed]:
    """The printed settings of each method.

    Everything before the date of the split is training data, so the tested models are refitted. HieVH and MP2Vec are
    given the features as they are. The grid of the penalty is left out where the penalty here counts once for a user or
    an item: in MF, TimeSVD++ and HieVH. If the paper's counts once for a rating, its weights mean something else.

    Args:
        dim: size of the vectors of the log.
        encoder: how IARN reads the features of the log.
        longest_history: of a user or an item of the log; the paper shortens none.
    """
    vectors: dict[str, Any] = {"embedding_dim": dim, "refit": True}
    by_gradient, recurrent = {**vectors, "lr": GRID}, _recurrent_settings(dim, longest_history)
    return {
        "MF": vectors,
        "BPR": {**by_gradient, "l2": GRID},
        "TimeSVD++": {**by_gradient, "beta": 0.4, "num_bins": 30},
        "HieVH": {**by_gradient, "relation_weight": 0.01},
        "Item2Vec": by_gradient,
        "NCF": {**by_gradient, "weight_decay": GRID, "mlp_hidden_dims": (HIDDEN,), "dropout": DROPOUT},
        "MP2Vec": {**by_gradient, "feature_weight": 0.1},
        **{name: {**recurrent, "backbone": backbone} for name, backbone in BACKBONES.items()},
        FULL: {**recurrent, "feature_encoder": encoder},
    }


def _recurrent_settings(dim: int, longest_history: int) -> Printed:
    """The printed settings of IARN-Plain, which the other recurrent networks share but for one."""
    return {
        "embedding_dim": dim,
        "context_dim": HIDDEN,
        "hidden_dim": HIDDEN,
        "window": longest_history,
        "backbone": "iarn",
        "activation": "relu",
        "gate_scale": 1.0,
        "interaction_scale": 1.0,
        "bias": False,
        "use_ratings": False,
        "feature_encoder": "none",
        "tanh_encoder": False,
        "dropout": DROPOUT,
        "lr": GRID,
        "weight_decay": GRID,
        "grad_clip_value": 10.0,
        "batch_size": 50,
        "reduction": "mean",
        "epoch_fraction": 1.0,
        "refit": True,
    }
