"""A protocol of ratings: who is cold, what is read, what is clipped, and one figure for each metric."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

from segue.batches.batch import PairBatch, RatingBatch
from segue.config import Config
from segue.data.log import Log
from segue.data.readers.ingest import read_log
from segue.data.splits import Split
from segue.errors import ConfigError, DataError, TrainingError
from segue.evaluation import result_files
from segue.evaluation.breakdown import breakdown
from segue.evaluation.protocols import PROTOCOLS
from segue.evaluation.ranking_protocol import RankingProtocol
from segue.evaluation.ranks import Ranks
from segue.evaluation.rating_predictions import RatingPredictions
from segue.evaluation.rating_protocol import RatingProtocol
from segue.evaluation.significance import interval
from segue.evaluation.summary import summary
from segue.evaluation.table import table
from segue.evaluation.task import measure
from segue.experiments.experiment import Experiment
from segue.models.base.model import Sizes
from segue.models.base.rating import PairScorer
from segue.models.popularity.pop import Pop

RNG = np.random.default_rng(5)
EVENTS = [(int(u), int(i), t, 1 + (u + i) % 5) for t, (u, i) in enumerate(RNG.integers(1, 13, (300, 2)))]
# two late-comers: a user of one earlier rating, an item of none; and a user of none
EVENTS += [(20, 3, 100, 4), (20, 4, 298, 2), (1, 30, 299, 5), (21, 3, 299, 1)]
LOG = read_log(pl.DataFrame(EVENTS, schema=["user", "item", "timestamp", "rating"], orient="row"))
WARM = RatingProtocol(name="warm", by="global-time", arguments={"valid": 0.1, "test": 0.2})
OPEN = replace(WARM, min_history=1, min_item_history=1)


class Says(PairScorer):
    """Predicts `user + item / 100`, and remembers what it was shown."""

    name, Config = "says", Config
    window: int | None = None
    item_window: int | None = None

    def __init__(self, log: Log) -> None:
        super().__init__(Config(), Sizes(log.num_users, log.num_items))
        self.shown: list[RatingBatch] = []

    def predict(self, batch: PairBatch) -> Tensor:
        if isinstance(batch, RatingBatch):
            self.shown.append(batch)
        return batch.user + batch.item / 100


def parts(protocol: RatingProtocol) -> tuple[Split, int]:
    split = protocol.split(LOG)
    assert LOG.time is not None
    return split, int(np.sort(LOG.time)[int(len(LOG) * 0.8 + 1e-9)])


def test_cold_users_and_items_are_dropped_and_reported() -> None:
    split, date = parts(WARM)
    before = [e for e in EVENTS if e[2] < date]
    kept = [
        e
        for e in EVENTS
        if e[2] >= date and sum(b[0] == e[0] for b in before) >= 3 and sum(b[1] == e[1] for b in before) >= 3
    ]
    instances = WARM.instances(split, "test")
    evaluated = list(zip(LOG.users.names(instances.user), LOG.items.names(LOG.item[instances.row]), strict=True))
    assert sorted(evaluated) == sorted((u, i) for u, i, _, _ in kept)
    assert instances.dropped["ratings by users with fewer than 3 before"] == 1
    assert instances.dropped["ratings of items with fewer than 3 before"] == 1
    assert instances.dropped["instances without a history"] == 1
    assert len(OPEN.instances(split, "test")) == len(instances) + 1


def test_who_is_cold_on_validation_does_not_depend_on_validation() -> None:
    split, stop = parts(WARM)
    assert LOG.time is not None
    date = int(np.sort(LOG.time)[int(len(LOG) * 0.7 + 1e-9)])
    before = [e for e in EVENTS if e[2] < date]
    held_out = [e for e in EVENTS if date <= e[2] < stop]
    counts = [(sum(b[0] == e[0] for b in before), sum(b[1] == e[1] for b in before)) for e in held_out]
    for least in (3, 17, 21):  # the last two leave some out
        protocol = replace(WARM, min_history=least, min_item_history=least)
        assert len(protocol.instances(split, "valid")) == sum(min(pair) >= least for pair in counts)
    kept = {sum(min(pair) >= least for pair in counts) for least in (3, 17, 21)}
    assert len(kept) == 3


@pytest.mark.parametrize("part", ["valid", "test"])
@pytest.mark.parametrize("histories", ["date", "rolling"])
def test_what_may_be_read(histories: Any, part: Any) -> None:
    """By default what was there on the date, for all alike; rolling: what happened strictly before each rating."""
    protocol = replace(OPEN, histories=histories)
    split, date = parts(protocol)
    if part == "valid":
        assert LOG.time is not None
        date = int(np.sort(LOG.time)[int(len(LOG) * 0.7 + 1e-9)])
    model = Says(LOG)
    rated = protocol.evaluate(model, split, part, ("rmse",))
    assert rated.user_auc is None
    seen = 0
    for batch in model.shown:
        assert batch.time is not None
        assert batch.item_history is not None
        for user, history, item_history, item, time in zip(
            batch.user, batch.history, batch.item_history, batch.item, batch.time, strict=True
        ):
            limit = date if histories == "date" else int(time)
            name, what = LOG.users.names([int(user)])[0], LOG.items.names([int(item)])[0]
            met = [i for i in history.tolist() if i]
            whom = [u for u in item_history.tolist() if u]
            assert LOG.items.names(met) == [
                i for u, i, t, _ in sorted(EVENTS, key=lambda e: e[2]) if (u, t < limit) == (name, True)
            ]
            assert sorted(LOG.users.names(whom)) == sorted(u for u, i, t, _ in EVENTS if i == what and t < limit)
            seen += 1
    assert seen == len(rated)


def test_predictions_are_within_the_scale_and_auc_is_that_of_a_plain_count() -> None:
    split, _ = parts(WARM)
    rated = WARM.evaluate(Says(LOG), split, "test")
    instances = WARM.instances(split, "test")
    expected = (instances.user + LOG.item[instances.row] / 100).clip(1, 5)
    assert rated.predicted is not None
    np.testing.assert_allclose(rated.predicted, expected, atol=1e-6)
    assert rated.user_auc is not None
    assert rated.ranked_user is not None
    counts = split.train_valid.counts()
    for user, value in zip(rated.ranked_user, rated.user_auc, strict=True):
        past = set(LOG.item[LOG.start[user] : split.test[user]].tolist())
        later = set(LOG.item[split.test[user] : LOG.stop[user]].tolist())
        candidates = [i for i in range(1, LOG.num_items + 1) if counts[i] >= 3 and i not in past]
        right, wrong = [i for i in candidates if i in later], [i for i in candidates if i not in later]
        assert value == pytest.approx(np.mean([float(a > b) for a in right for b in wrong]))
    left = [u for u in np.unique(instances.user) if u not in rated.ranked_user]
    assert rated.dropped.get("users with nothing to order for the AUC", 0) == len(left)


def test_a_sample_of_users_is_drawn_by_its_seed() -> None:
    split, _ = parts(OPEN)
    every = OPEN.evaluate(Says(LOG), split, "test", ("auc",))
    assert every.ranked_user is not None
    assert every.user_auc is not None
    draws = [replace(OPEN, users=9, seed=seed).evaluate(Says(LOG), split, "test", ("auc",)) for seed in (0, 0, 1)]
    known = dict(zip(every.ranked_user.tolist(), every.user_auc.tolist(), strict=True))
    for draw in draws:
        assert draw.predicted is None
        assert draw.ranked_user is not None
        assert draw.user_auc is not None
        assert len(draw.ranked_user) <= 9
        assert draw.user_auc.tolist() == [known[user] for user in draw.ranked_user.tolist()]
    assert draws[0].ranked_user.tolist() == draws[1].ranked_user.tolist() != draws[2].ranked_user.tolist()  # type: ignore[union-attr]
    assert replace(OPEN, users=5).fingerprint != OPEN.fingerprint != replace(OPEN, histories="rolling").fingerprint


def test_models_that_rank_have_an_auc_and_no_error() -> None:
    experiments = [Experiment(model=name, protocol=WARM) for name in ("biases", "mf", "pop")]
    assert experiments[0].monitor == "rmse"
    outcomes = [experiment.run(LOG) for experiment in experiments]
    facts = summary([o.result for o in outcomes], ("rmse", "mae", "auc"))
    biases, _, pop = (row["metrics"] for row in facts["models"])
    assert pop["rmse"] is None
    assert pop["mae"] is None
    errors = outcomes[0].result.predictions
    assert isinstance(errors, RatingPredictions)
    assert errors.predicted is not None
    mean = np.mean((errors.predicted - errors.rating) ** 2)
    assert biases["rmse"]["mean"] == pytest.approx(np.sqrt(mean))
    assert biases["rmse"]["low"] < biases["rmse"]["mean"] < biases["rmse"]["high"]
    best = min(facts["models"][:2], key=lambda row: row["metrics"]["rmse"]["mean"])
    assert best["metrics"]["rmse"]["best"]
    other = next(row for row in facts["models"][:2] if row is not best)
    assert other["metrics"]["rmse"]["against"]["model"] == best["model"]
    assert other["metrics"]["rmse"]["against"]["difference"] < 0  # worse: its squared errors are larger
    shown = table([o.result for o in outcomes], ("rmse", "mae", "auc"))
    assert [column.name for column in shown.columns] == [
        "model",
        "rmse",
        "mae",
        "auc",
        "CPU s\ntrain\ntest",
        "peak\nMB",
    ]
    assert str(shown.rows[2][1]) == "–"


def test_where_everybody_has_met_everything_there_is_no_auc() -> None:
    events = [(u, i, 100 * r + 10 * u + i, 1 + (u + i) % 5) for r in range(3) for u in range(3) for i in range(3)]
    log = read_log(pl.DataFrame(events, schema=["user", "item", "timestamp", "rating"], orient="row"))
    result = Experiment(model="biases", protocol=OPEN).run(log).result
    row = summary([result], ("rmse", "auc"))["models"][0]["metrics"]
    assert row["rmse"]["mean"] > 0
    assert row["auc"] is None
    assert result.predictions.dropped["users with nothing to order for the AUC"] == 2


def test_results_are_kept(tmp_path: Path) -> None:
    for model in ("biases", "pop"):
        result = Experiment(model=model, protocol=WARM).run(LOG).result
        again, about = result_files.read(result_files.write(result, tmp_path / "one.npz", note=1))
        assert about == {"note": 1}
        assert again.protocol == WARM
        assert isinstance(again.predictions, RatingPredictions)
        assert again.predictions.same_instances(result.predictions)
        for metric in ("rmse", "auc") if model == "biases" else ("auc",):
            assert measure(again.predictions, metric).tolist() == measure(result.predictions, metric).tolist()


def test_intervals_draw_users_with_all_their_ratings() -> None:
    result = Experiment(model="biases", protocol=WARM).run(LOG).result
    assert isinstance(result.predictions, RatingPredictions)
    row = summary([result], ["rmse", "auc"])["models"][0]["metrics"]
    low, high = interval(measure(result.predictions, "rmse"), result.predictions.user)
    assert (row["rmse"]["low"], row["rmse"]["high"]) == pytest.approx((low**0.5, high**0.5))
    assert (row["auc"]["low"], row["auc"]["high"]) == interval(
        measure(result.predictions, "auc"), result.predictions.ranked_user
    )
    with pytest.raises(ConfigError, match="groups need a protocol that ranks items; warm does not"):
        breakdown([result], ["rmse"], WARM.split(LOG), by="length")


def test_validation_is_to_be_maximised() -> None:
    split, _ = parts(WARM)
    model = Says(LOG)
    assert WARM.validation_metric(model, split, "rmse") < 0 < WARM.validation_metric(model, split, "auc")
    ranked = RankingProtocol.named("leave-one-out")
    whole = ranked.split(LOG)
    pop = Pop(Pop.configure(), Sizes(LOG.num_users, LOG.num_items))
    pop.fit(whole.train)
    expected = measure(ranked.rank(pop, whole, "valid"), "ndcg@10").mean()
    assert ranked.validation_metric(pop, whole, "ndcg@10") == pytest.approx(expected)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"ndcg@10: ratings predicts ratings; its metrics are rmse, mae, auc"):
        Experiment(model="biases", protocol=PROTOCOLS["ratings"], monitor="ndcg@10")
    with pytest.raises(ConfigError, match=r"rmse: leave-one-out ranks items; its metrics are recall, .* each with @k"):
        Experiment(model="biases", protocol=PROTOCOLS["leave-one-out"], monitor="rmse")
    with pytest.raises(ConfigError, match=r"by='ratio': ratings are split at a date, by global-time or date"):
        RatingProtocol(name="x", by="ratio", arguments={"valid": 0.1, "test": 0.1})
    for setting, said in (
        ({"horizon": 2}, "horizon=2: warm is a protocol of the rating task, which has no such setting"),
        ({"leak": "drop"}, "leak=drop: warm is a protocol of the rating task, which has no such setting"),
        ({"users": 0}, "users=0: must be at least 1"),
        ({"min_item_history": 0}, "min_item_history=0: must be at least 1"),
        ({"histories": "all"}, "histories='all': must be one of date, rolling"),
    ):
        with pytest.raises(ConfigError, match=said):
            WARM.with_settings(setting)
    with pytest.raises(DataError, match="has no ratings to learn or to predict"):
        Experiment(model="biases", protocol=WARM).run(replace(LOG, rating=None))
    ranks = Ranks(np.ones(1, np.int64), np.ones(1, np.int64), np.array([0, 1]), np.ones((1, 5), np.int32), 5, {})
    with pytest.raises(ConfigError, match=r"unknown metric 'rmse'.*; known: recall.*, each with @k"):
        measure(ranks, "rmse")


def test_what_is_no_number_is_no_prediction() -> None:
    class Lost(Says):
        def predict(self, batch: PairBatch) -> Tensor:
            return super().predict(batch) * torch.nan

    split, _ = parts(WARM)
    with pytest.raises(TrainingError, match="Lost predicts NaN: its training went wrong"):
        WARM.evaluate(Lost(LOG), split, "test", ("rmse",))
    with pytest.raises(TrainingError, match="Lost scores NaN: its training went wrong"):
        WARM.evaluate(Lost(LOG), split, "test", ("auc",))
