"""`ReadingOptions`: what HCRNN and NARM make of each item of a sequence, and of the question behind the last of them.

    item   gates, means over units     change, mean over units    contexts        attention of the question
           r   G_d  r * G_d  NARM r    of c     of h              theta  alpha    to c   to h   NARM
    31     .42  .47  .20      .51                                 1.02   1.01     .02    .03    .01
    7      .41  .46  .19      .49      .001     .16               1.02   1.02     .05    .02    .20
    ...

The paper does not say how a change of c or h is measured: here it is the mean over units of |h_t - h_(t-1)|. A first
item, before which there is no context, has none. Of theta and alpha it is the largest of K shares, times K.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from segue.batches.batch import Batch
from segue.data.log import Ids, Log
from segue.data.splits import Split
from segue.models.base.model import Model
from segue.models.sequential.hcrnn.model import HCRNN
from segue.nn.recorder import recording

Values = np.ndarray[Any, np.dtype[np.float64]]

RESET, DRIFT, KEPT, NARM_RESET = "r", "G_d", "r * G_d", "NARM r"
LOCAL_CHANGE, CHANGE = "change of c", "change of h"
THETA, ALPHA = "K * largest theta", "K * largest alpha"
LOCAL_ATTENTION, ATTENTION, NARM_ATTENTION = "attention to c", "attention to h", "NARM attention"


@dataclass(frozen=True, eq=False)
class ReadingOptions:
    """One sequence of T items.

    Attributes:
        user: whose.
        items: (T,) their ids.
        told: (T,) a number an item, by the names of this module; not a number where there is none.
    """

    user: int
    items: Ids
    told: dict[str, Values]


def read(split: Split, hcrnn: HCRNN, narm: Model) -> list[ReadingOptions]:
    """The sequences of the test users."""
    return [
        ReadingOptions(user, items, {**_hcrnn(hcrnn, items), **_narm(narm, items)}) for user, items in _tested(split)
    ]


def _tested(split: Split) -> Iterator[tuple[int, Ids]]:
    log: Log = split.log
    for user in np.flatnonzero(split.test < log.stop):
        yield int(user), log.history(int(user)).astype(np.int64)


def _hcrnn(model: HCRNN, items: Ids) -> dict[str, Values]:
    found = model.readouts(torch.from_numpy(items))
    told = {
        RESET: found["reset"],
        DRIFT: found["drift"],
        KEPT: found["reset"] * found["drift"],
        LOCAL_CHANGE: _change(found["local"]),
        CHANGE: _change(found["temporary"]),
        THETA: _most(found["theta"].expand_as(found["alpha"])),
        ALPHA: _most(found["alpha"]),
        LOCAL_ATTENTION: found["local_attention"],
        ATTENTION: found["attention"],
    }
    return {name: _plain(value if value.dim() == 1 else value.mean(1)) for name, value in told.items()}


def _narm(model: Model, items: Ids) -> dict[str, Values]:
    with torch.no_grad(), recording() as heard:
        model.score(Batch(torch.zeros(1, dtype=torch.long), torch.from_numpy(items)[None]))
    (reset,), (attention,) = heard["reset gate"], heard["attention"]
    return {NARM_RESET: _plain(reset[0].mean(0)), NARM_ATTENTION: _plain(attention[0, 0])}


def _change(context: torch.Tensor) -> torch.Tensor:
    """(T, n) how far each unit has moved since the step before."""
    return torch.cat([torch.full_like(context[:1], torch.nan), context.diff(dim=0).abs()])


def _most(shares: torch.Tensor) -> torch.Tensor:
    """(T,) the largest of K shares; 1 where all are the same."""
    return shares.max(1).values * shares.shape[1]


def _plain(value: torch.Tensor) -> Values:
    return value.double().numpy()
