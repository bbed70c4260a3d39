"""RMSE, MAE, AUC, MF and TimeSVD++ against numbers of plain Python loops.

Item ids in the arrays start at 0, in segue at 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from segue.batches.batch import PairBatch
from segue.evaluation.rating_evaluation import auc_of_scores
from segue.evaluation.rating_predictions import RatingPredictions
from segue.evaluation.task import mean_metric
from segue.models.base.model import Sizes
from segue.models.ratings.mf import MF
from segue.models.ratings.timesvd.model import TimeSVD

Arrays = dict[str, np.ndarray]


def test_rmse_and_mae(golden: Any) -> None:
    z = golden("metrics")
    for predicted, name in ((z["rmse_p"], "rmse"), (z["rmse_p"].clip(1, 5), "rmse_clipped")):
        predictions = RatingPredictions(np.ones(7, np.int64), z["rmse_y"], predicted, None, None, {})
        assert mean_metric(predictions, "rmse") == pytest.approx(float(z[name]), abs=1e-12)
    predictions = RatingPredictions(np.ones(7, np.int64), z["rmse_y"], z["rmse_p"], None, None, {})
    assert mean_metric(predictions, "mae") == pytest.approx(float(z["mae"]), abs=1e-12)


def test_auc_per_user_and_its_mean(golden: Any) -> None:
    """Ties count as half; items of the training log are no candidates."""
    z = golden("metrics")
    user_aucs = []
    for user, scores in enumerate(torch.from_numpy(z["auc_scores"])):
        relevant = torch.tensor([int(i) for i in z["topn_rel"][user] if i >= 0], dtype=torch.long)
        candidate = torch.ones(len(scores), dtype=torch.bool)
        candidate[[int(i) for i in z["topn_train"][user] if i >= 0]] = False
        if len(relevant):
            user_aucs.append(auc_of_scores(scores, relevant, candidate))
            assert user_aucs[-1] == pytest.approx(float(z["auc_user"][user]), abs=1e-12)
    assert np.mean(user_aucs) == pytest.approx(float(z["auc_mean"]), abs=1e-12)


@pytest.mark.parametrize("bias", [True, False])
def test_mf_rating_and_score(golden: Any, bias: bool) -> None:
    z = golden("baselines")
    model = MF(MF.configure({"embedding_dim": len(z["mf_p"]), "bias": bias}), Sizes(1, 1)).double()
    model.user_embedding[1, :-1], model.item_embedding[1, :-1] = (
        torch.from_numpy(z["mf_p"]),
        torch.from_numpy(z["mf_q"]),
    )
    if bias:
        model.mean.fill_(float(z["mf_mu"]))
        model.user_embedding[1, -1], model.item_embedding[1, -1] = float(z["mf_b"][0]), float(z["mf_b"][1])
    batch = PairBatch(torch.tensor([1]), torch.zeros(1, 0, dtype=torch.long), torch.tensor([1]))
    expected = float(z["mf_pred" if bias else "mf_pred_nobias"])
    assert float(model.predict(batch)) == pytest.approx(expected, abs=1e-10)
    assert float(model.score(batch)[0, 1]) == pytest.approx(expected, abs=1e-10)


def test_timesvd_deviation_bins_and_ratings(golden: Any) -> None:
    """Five ratings of one user on four days: the deviation, the bins, and the terms of single days."""
    z = golden("baselines")
    dim, days, bins = len(z["mf_p"]), int(z["tsvd_ndays"]), int(z["tsvd_nbins"])
    settings = {"embedding_dim": dim, "beta": float(z["tsvd_beta"]), "num_bins": bins, "days_per_user": 3}
    model = TimeSVD(TimeSVD.configure(settings), Sizes(1, 1)).double().requires_grad_(False)
    calendar, rows = model.calendar, z["tsvd_rows"]
    calendar.day_range[2] = days - 1
    calendar.mean_day[1] = float(z["tsvd_t_u"])
    own_day = rows[rows[:, 3] > 0]
    order = np.argsort(own_day[:, 0])
    calendar.day_keys.copy_(torch.from_numpy(days + own_day[order, 0].astype(np.int64)))
    model.mean.fill_(float(z["mf_mu"]))
    model.user_bias[1], model.item_bias[1] = float(z["mf_b"][0]), float(z["mf_b"][1])
    model.user_bias_terms[1, 1:] = torch.tensor(
        [float(z["tsvd_c_u"]) - 1, float(z["tsvd_alpha_u"])], dtype=torch.float64
    )
    model.user_factors[1], model.item_factors[1] = torch.from_numpy(z["mf_p"]), torch.from_numpy(z["mf_q"])
    model.user_drift[1] = torch.from_numpy(z["tsvd_alpha_k"])
    model.item_bias_terms[1, :bins] = torch.from_numpy(z["tsvd_b_bin"])
    model.day_terms[1:, :dim] = float(z["tsvd_p_day"])
    model.day_terms[1:, dim:] = torch.from_numpy(own_day[order, 1:3])
    model.user_implicit[1] = torch.from_numpy(z["tsvd_y"].sum(0) / np.sqrt(len(z["tsvd_y"])))

    ids, time = torch.ones(len(rows), dtype=torch.long), torch.from_numpy(rows[:, 0].astype(np.int64))
    features = calendar(ids, time)
    np.testing.assert_allclose(features.dev, z["tsvd_dev"], rtol=0, atol=1e-10)
    assert features.bin.tolist() == z["tsvd_bin"].tolist()
    assert (features.day_row > 0).tolist() == (rows[:, 3] > 0).tolist()
    batch = PairBatch(ids, torch.zeros(len(rows), 0, dtype=torch.long), ids, time=time)
    np.testing.assert_allclose(model.predict(batch), rows[:, -1], rtol=0, atol=1e-10)
    np.testing.assert_allclose(model.score(batch)[:, 1], rows[:, -1], rtol=0, atol=1e-10)
