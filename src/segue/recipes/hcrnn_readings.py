"""`Reading`: what HCRNN and NARM make of each item of a sequence, and of the question behind the last of them.

    item   gates, means over units     change, mean over units    attention of the question
           r   G_d  r * G_d  NARM r    of c     of h              to c   to h   NARM
    31     .48  .55  .27      .51                                 .02    .03    .01
    7      .47  .58  .28      .49      .004     .27               .05    .02    .20
    ...

The paper does not say how a change of c or h is measured: here it is the mean over units of |h_t - h_(t-1)|, which
figures of the size of the printed ones fit, and a first item, before which there is no context, has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from segue.batch import Batch
from segue.data.log import Ids, Log
from segue.data.split import Split
from segue.model import Model
from segue.models.hcrnn import HCRNN
from segue.readout import readouts

Values = np.ndarray[Any, np.dtype[np.float64]]

RESET, DRIFT, KEPT, NARM_RESET = "r", "G_d", "r * G_d", "NARM r"
LOCAL_CHANGE, CHANGE = "change of c", "change of h"
LOCAL_ATTENTION, ATTENTION, NARM_ATTENTION = "attention to c", "attention to h", "NARM attention"


@dataclass(frozen=True, eq=False)
class Reading:
    """One sequence of T items.

    Attributes:
        user: whose.
        items: (T,) their ids.
        told: (T,) a number an item, by the names of this module; not a number where there is none.
    """

    user: int
    items: Ids
    told: dict[str, Values]


def read(split: Split, hcrnn: HCRNN, narm: Model) -> list[Reading]:
    """The sequences of the test users."""
    return [Reading(user, items, {**_hcrnn(hcrnn, items), **_narm(narm, items)}) for user, items in _tested(split)]


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
        LOCAL_ATTENTION: found["local_attention"],
        ATTENTION: found["attention"],
    }
    return {name: _plain(value if value.dim() == 1 else value.mean(1)) for name, value in told.items()}


def _narm(model: Model, items: Ids) -> dict[str, Values]:
    with torch.no_grad(), readouts() as heard:
        model.score(Batch(torch.zeros(1, dtype=torch.long), torch.from_numpy(items)[None]))
    (reset,), (attention,) = heard["reset gate"], heard["attention"]
    return {NARM_RESET: _plain(reset[0].mean(0)), NARM_ATTENTION: _plain(attention[0, 0])}


def _change(context: torch.Tensor) -> torch.Tensor:
    """(T, n) how far each unit has moved since the step before."""
    return torch.cat([torch.full_like(context[:1], torch.nan), context.diff(dim=0).abs()])


def _plain(value: torch.Tensor) -> Values:
    return value.double().numpy()
