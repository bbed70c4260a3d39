"""`SequenceGates`: gates, context changes and attention of HCRNN and NARM at each item of a sequence.

    item   gates, means over units     change, mean over units    contexts        attention for the next item
           r   G_d  r * G_d  NARM r    of c     of h              theta  alpha    to c   to h   NARM
    31     .42  .47  .20      .51                                 1.02   1.01     .02    .03    .01
    7      .41  .46  .19      .49      .001     .16               1.02   1.02     .05    .02    .20
    ...

The paper does not say how a change of c or h is measured. Here it is the mean over units of |h_t - h_(t-1)|; the first
item has none. For theta and alpha, the value is K times the largest of the K shares.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from segue.batches.batch import Batch
from segue.data.log import Floats, Ids, Log
from segue.data.splits import Split
from segue.models.base.model import Model
from segue.models.sequential.hcrnn.model import HCRNN
from segue.nn.recorder import recording

RESET, DRIFT, RESET_DRIFT, NARM_RESET = "r", "G_d", "r * G_d", "NARM r"
LOCAL_CHANGE, CHANGE = "change of c", "change of h"
THETA, ALPHA = "K * largest theta", "K * largest alpha"
LOCAL_ATTENTION, ATTENTION, NARM_ATTENTION = "attention to c", "attention to h", "NARM attention"


@dataclass(frozen=True, eq=False)
class SequenceGates:
    """The gates of one sequence of T items.

    Attributes:
        user: the id of the user.
        items: (T,) the ids of the items.
        values: arrays (T,) with a number for each item, by the names of this module; NaN if there is none.
    """

    user: int
    items: Ids
    values: dict[str, Floats]


def read_gates(split: Split, hcrnn: HCRNN, narm: Model) -> list[SequenceGates]:
    """The gates of both models for the whole sequence of each test user."""
    return [
        SequenceGates(user, items, {**_hcrnn(hcrnn, items), **_narm(narm, items)})
        for user, items in _test_sequences(split)
    ]


def _test_sequences(split: Split) -> Iterator[tuple[int, Ids]]:
    log: Log = split.log
    for user in np.flatnonzero(split.test < log.stop):
        yield int(user), log.history(int(user)).astype(np.int64)


def _hcrnn(model: HCRNN, items: Ids) -> dict[str, Floats]:
    recorded = model.recordings(torch.from_numpy(items))
    values = {
        RESET: recorded["reset"],
        DRIFT: recorded["drift"],
        RESET_DRIFT: recorded["reset"] * recorded["drift"],
        LOCAL_CHANGE: _change(recorded["local"]),
        CHANGE: _change(recorded["temporary"]),
        THETA: _largest_share(recorded["theta"].expand_as(recorded["alpha"])),
        ALPHA: _largest_share(recorded["alpha"]),
        LOCAL_ATTENTION: recorded["local_attention"],
        ATTENTION: recorded["attention"],
    }
    return {name: _to_numpy(value if value.dim() == 1 else value.mean(1)) for name, value in values.items()}


def _narm(model: Model, items: Ids) -> dict[str, Floats]:
    with torch.no_grad(), recording() as recorded:
        model.score(Batch(torch.zeros(1, dtype=torch.long), torch.from_numpy(items)[None]))
    (reset,), (attention,) = recorded["reset gate"], recorded["attention"]
    return {NARM_RESET: _to_numpy(reset[0].mean(0)), NARM_ATTENTION: _to_numpy(attention[0, 0])}


def _change(context: torch.Tensor) -> torch.Tensor:
    """(T, n) the absolute change of each unit since the previous step; NaN for the first step."""
    return torch.cat([torch.full_like(context[:1], torch.nan), context.diff(dim=0).abs()])


def _largest_share(shares: torch.Tensor) -> torch.Tensor:
    """(T,) K times the largest of K shares; 1 if all shares are equal."""
    return shares.max(1).values * shares.shape[1]


def _to_numpy(value: torch.Tensor) -> Floats:
    return value.double().numpy()
