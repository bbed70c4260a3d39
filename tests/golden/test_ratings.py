"""Errors, AUC and matrix factorisation against numbers of plain loops. Golden ids count from 0, ours from 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from segue.batch import Batch
from segue.evaluation.metrics import measure, value
from segue.evaluation.rated import Rated, area
from segue.model import Sizes
from segue.models.mf import MF

Arrays = dict[str, np.ndarray]


def test_errors(golden: Any) -> None:
    z = golden("metrics")
    for predicted, name in ((z["rmse_p"], "rmse"), (z["rmse_p"].clip(1, 5), "rmse_clipped")):
        rated = Rated(np.ones(7, np.int64), z["rmse_y"], predicted, None, None, {})
        assert value(float(measure(rated, "rmse").mean()), "rmse") == pytest.approx(float(z[name]), abs=1e-12)
    rated = Rated(np.ones(7, np.int64), z["rmse_y"], z["rmse_p"], None, None, {})
    assert value(float(measure(rated, "mae").mean()), "mae") == pytest.approx(float(z["mae"]), abs=1e-12)


def test_auc(golden: Any) -> None:
    """Equals count half; what was seen in training is no candidate."""
    z = golden("metrics")
    found = []
    for user, scores in enumerate(torch.from_numpy(z["auc_scores"])):
        right = torch.tensor([int(i) for i in z["topn_rel"][user] if i >= 0], dtype=torch.long)
        candidate = torch.ones(len(scores), dtype=torch.bool)
        candidate[[int(i) for i in z["topn_train"][user] if i >= 0]] = False
        if len(right):
            found.append(area(scores, right, candidate))
            assert found[-1] == pytest.approx(float(z["auc_user"][user]), abs=1e-12)
    assert np.mean(found) == pytest.approx(float(z["auc_mean"]), abs=1e-12)


@pytest.mark.parametrize("bias", [True, False])
def test_mf(golden: Any, bias: bool) -> None:
    z = golden("baselines")
    model = MF(MF.configure({"dim": len(z["mf_p"]), "bias": bias}), Sizes(1, 1)).double()
    model.user[1, :-1], model.item[1, :-1] = torch.from_numpy(z["mf_p"]), torch.from_numpy(z["mf_q"])
    if bias:
        model.mean.fill_(float(z["mf_mu"]))
        model.user[1, -1], model.item[1, -1] = float(z["mf_b"][0]), float(z["mf_b"][1])
    batch = Batch(torch.tensor([1]), torch.zeros(1, 0, dtype=torch.long), torch.tensor([[1]]))
    expected = float(z["mf_pred" if bias else "mf_pred_nobias"])
    assert float(model.predict(batch)) == pytest.approx(expected, abs=1e-10)
    assert float(model.score(batch)[0, 1]) == pytest.approx(expected, abs=1e-10)
