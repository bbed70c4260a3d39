"""EASE: linear regression of each item on all other items of a user, in closed form.

    B = argmin |X - X B|^2 + l2 |B|^2  with  B_jj = 0                  X: (U, I), 1 where a user has an item
    P = (X^T X + l2)^-1,    B_ij = -P_ij / P_jj  for i != j

Where only some events are targets, or have weights, the targets Y have the largest weight of a user's events with an
item, in place of the 1 of X:

    B = argmin |Y - X B|^2 + l2 |B|^2  with  B_jj = 0;     C = P X^T Y,    B_ij = C_ij - P_ij C_jj / P_jj

The paper scores the whole history with equal weights (preset `paper`). Here newer items count more by default; the
defaults were chosen on the validation parts of MovieLens 100K, MovieLens 1M and a week of YooChoose.
Source: Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019, (8).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from segue.data.log import Floats, Ids, Log
from segue.models.base.linear import LINEAR_SPACE, LinearConfig, LinearModel, ridge_inverse, user_item_matrix
from segue.models.base.search_space import Space


class EASE(LinearModel):
    """Recommends the items that a linear regression predicts from the items of the history."""

    name = "ease"
    depends_on_seed = False
    Config = LinearConfig
    presets: ClassVar = {"paper": {"position_decay": 1.0, "window": None}}
    space: ClassVar[Space] = LINEAR_SPACE

    def item_weights(self, log: Log, place: Ids) -> Floats:
        matrix, of_rows = user_item_matrix(log, place), self.config.target_weights(log)
        inverse = ridge_inverse((matrix.T @ matrix).toarray(), self.config.l2)
        if (log.column(of_rows) == 1).all():
            weights = np.divide(inverse, -np.diag(inverse), out=inverse)
        else:
            weights = inverse @ (matrix.T @ user_item_matrix(log, place, of_rows)).toarray()
            weights -= inverse * (np.diag(weights) / np.diag(inverse))
        np.fill_diagonal(weights, 0.0)
        return weights
