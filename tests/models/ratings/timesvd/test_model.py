"""TimeSVD++: its calendar, its objective, its sums of implicit feedback, and its gain where tastes change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from segue.batches.batch import PairBatch
from segue.batches.rated_events import RatedEvents
from segue.data import synthetic
from segue.data.log import Log
from segue.errors import ConfigError, DataError
from segue.models.base.model import Sizes
from segue.models.ratings.biases import Biases
from segue.models.ratings.timesvd.model import TimeSVD
from segue.testing import LAWS, subject
from segue.training.loop import fit

DAY = 86_400
YEAR_2020 = 1_577_836_800


def timed_log(days: list[list[int]], *, scale: int = DAY, start: int = YEAR_2020) -> Log:
    """A log in which user u rates items 1, 2, ... on the days `days[u - 1]`."""
    sequences = [list(range(1, len(of_user) + 1)) for of_user in days]
    times = [[start + scale * day for day in of_user] for of_user in days]
    return synthetic.with_ratings(synthetic.from_sequences(sequences, times=times, num_items=6))


def build(log: Log, **settings: object) -> TimeSVD:
    torch.manual_seed(0)
    return TimeSVD(TimeSVD.configure({"embedding_dim": 3, **settings}), Sizes(log.num_users, log.num_items)).double()


def test_calendar_days_bins_deviations_and_rows() -> None:
    """Times are rounded down to days. Days with at least two ratings have terms; those with the most come first."""
    log = timed_log([[0, 0, 3, 9, 9, 9], [2, 2], [4]])
    model = build(log, num_bins=5, days_per_user=1)  # at most three days have terms
    model.rated_events(log)
    calendar = model.calendar
    assert calendar.mean_day.tolist() == [0, 5, 2, 4]
    user = torch.tensor([1, 1, 1, 1, 2, 3])
    time = YEAR_2020 + DAY * torch.tensor([0, 3, 9, 40, 2, 2]) + 3600
    features = calendar(user, time)
    assert features.bin.tolist() == [0, 1, 4, 4, 1, 1]
    assert features.day_row.tolist() == [1, 0, 2, 0, 3, 0]
    expected = np.sign([-5, -2, 4, 35, 0, -2]) * np.abs([-5, -2, 4, 35, 0, -2]) ** 0.4 / 9**0.4
    np.testing.assert_allclose(features.dev, expected)
    assert calendar(user, None).bin.tolist() == [4] * 6  # the last day of training
    fewer = build(replace(log, users=log.users), num_bins=5, days_per_user=1)
    fewer.calendar.day_keys = fewer.calendar.day_keys[:1]
    fewer.calendar.day_penalty_weight = fewer.calendar.day_penalty_weight[:2]
    fewer.rated_events(log)
    assert fewer.calendar(user, time).day_row.tolist() == [0, 0, 1, 0, 0, 0]


@pytest.mark.parametrize(("scale", "start"), [(DAY * 1000, YEAR_2020 * 1000), (1, 0)])
def test_calendar_is_the_same_for_each_unit_of_time(scale: int, start: int) -> None:
    """Milliseconds are recognised by their size; a time in an unknown unit counts as a number of days."""
    days = [[0, 0, 3, 9, 9, 9], [2, 2], [4]]
    logs = timed_log(days), timed_log(days, scale=scale, start=start)
    expected, actual = (build(log, days_per_user=2) for log in logs)
    for model, log in zip((expected, actual), logs, strict=True):
        model.rated_events(log)
    for key, value in expected.calendar.state_dict().items():
        if key != "day_range":
            assert torch.equal(value, actual.calendar.state_dict()[key]), key


def test_loss_of_an_epoch_equals_the_objective() -> None:
    """Each rating carries a share of the penalties; y is summed over the items that the user rated."""
    log = timed_log([[0, 0, 3, 9, 9, 9], [2, 2], [4]])
    settings = {"l2": 2.0, "l2_time": 3.0, "l2_day": 5.0, "l2_user": 7.0, "l2_item": 11.0, "num_bins": 4}
    model = build(log, batch_size=2, days_per_user=2, **settings).requires_grad_(False)
    model.rated_events(log)
    for weight in model.parameters():
        weight[1:] = torch.randn_like(weight[1:])
    loss = sum(float(model(batch)) for batch in model.batches(log, np.random.default_rng(0)))
    events = RatedEvents.from_log(log)
    error = model.predict(events.batch(np.arange(len(events)))) - torch.from_numpy(events.rating)
    for user in (1, 2, 3):
        items = log.history(user).astype(np.int64)
        torch.testing.assert_close(model.user_implicit[user], model.implicit_factors[items].sum(0) / len(items) ** 0.5)
    rated = [1, 2, 3, 4, 5, 6]
    squared_norm = lambda table: float(table.square().sum())  # noqa: E731
    penalty = 2 * (
        squared_norm(model.user_factors)
        + squared_norm(model.item_factors[rated])
        + squared_norm(model.implicit_factors[rated])
    )
    penalty += 3 * (
        squared_norm(model.user_bias_terms[:, 1:])
        + squared_norm(model.user_drift)
        + squared_norm(model.item_bias_terms[rated, :-1])
    )
    penalty += 5 * squared_norm(model.day_terms[model.calendar.day_penalty_weight > 0])
    penalty += 7 * squared_norm(model.user_bias + model.user_bias_terms[:, 0]) + 11 * squared_norm(
        (model.item_bias + model.item_bias_terms[:, -1])[rated]
    )
    assert loss == pytest.approx(squared_norm(error) + penalty)


@pytest.mark.parametrize("law", [law for law in LAWS if law != "learns_a_cycle"])
def test_terms_of_single_days_obey_the_laws(law: str) -> None:
    LAWS[law](subject(TimeSVD, days_per_user=2))


def test_training_starts_at_the_predictions_of_biases() -> None:
    log = synthetic.with_ratings(synthetic.random(30, 12, 8, seed=1))
    sizes = Sizes(log.num_users, log.num_items)
    biases = Biases(Biases.configure(), sizes).double()
    biases.fit(log)
    model = TimeSVD(TimeSVD.configure(), sizes).double()
    model.rated_events(log)
    batch = RatedEvents.from_log(log).batch(np.arange(len(log)))
    torch.testing.assert_close(model.predict(batch), biases.predict(batch), rtol=0, atol=0.02)


def test_time_dependent_terms_learn_tastes_that_change() -> None:
    """All users like the odd items in the first half of the year and the even items in the second."""
    rng = np.random.default_rng(0)
    days = np.sort(rng.integers(0, 360, (60, 20)), 1)
    items = rng.integers(1, 11, (60, 20))
    log = synthetic.from_sequences(items.tolist(), times=(YEAR_2020 + DAY * days).tolist())
    liked = (items % 2 == 1) == (days < 180)
    log = replace(log, rating=np.where(liked, 5, 1).astype(np.float32).ravel())
    errors = []
    for model_class, settings in (
        (Biases, {}),
        (TimeSVD, {"num_bins": 12, "epochs": 40, "batch_size": 100, "lr": 0.02, "l2_time": 0.3}),
    ):
        torch.manual_seed(0)
        model = model_class(model_class.configure(settings), Sizes(log.num_users, log.num_items))
        fit(model, log)
        item, time = torch.tensor([1, 2, 1, 2]), YEAR_2020 + DAY * torch.tensor([20, 20, 340, 340])
        with torch.no_grad():
            rating = model.predict(PairBatch(torch.ones(4).long(), torch.zeros(4, 0).long(), item, time=time))
        errors.append(float((rating - torch.tensor([5.0, 1.0, 1.0, 5.0])).abs().max()))
    assert errors[0] > 2
    assert errors[1] < 1


def test_log_without_times_is_refused() -> None:
    log = synthetic.with_ratings(synthetic.from_sequences([[1, 2], [2, 1]], num_items=2))
    with pytest.raises(DataError, match="timesvd\\+\\+ needs to know when ratings were given; this log has no times"):
        next(build(log).batches(log, np.random.default_rng(0)))


def test_settings_out_of_range_are_refused() -> None:
    for settings, message in (
        ({"embedding_dim": 0}, "embedding_dim=0: must be at least 1"),
        ({"num_bins": 0}, "num_bins=0: must be at least 1"),
        ({"days_per_user": -1}, "days_per_user=-1: must be at least 0"),
        ({"beta": 0}, "beta=0: must be above 0"),
        ({"l2": -1}, "l2=-1: must be at least 0"),
        ({"l2_user": -1}, "l2_user=-1: must be at least 0"),
    ):
        with pytest.raises(ConfigError, match=message):
            TimeSVD.configure(settings)
