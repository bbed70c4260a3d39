"""Targets and weights of types in models that count or solve, against plain loops; and in training by gradient."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segue import testing
from segue.batches.batch import Batch
from segue.data import synthetic
from segue.data.event_types import with_targets
from segue.data.log import Floats, Log
from segue.errors import ConfigError, DataError
from segue.models.base.event_weights import EventWeightsConfig
from segue.models.base.model import Model, Sizes
from segue.models.registry import MODELS, find
from segue.training.loop import fit

ITEMS = 5
EVENTS = st.tuples(st.integers(1, ITEMS), st.integers(1, 2))  # (item, type)
HISTORIES = st.lists(st.lists(EVENTS, min_size=1, max_size=6), min_size=1, max_size=6)
VIEW, BUY = 0.25, 2.0
WEIGHTS = ("view=0.25", "buy=2")
DIRECT = ("pop", "recent-pop", "s-pop", "item-knn", "seq-knn", "vs-knn", "stan", "vstan", "ease", "slist", "tale")


def typed(histories: list[list[tuple[int, int]]]) -> Log:
    log = synthetic.from_sequences([[item for item, _ in h] for h in histories], num_items=ITEMS)
    types = [kind for h in histories for _, kind in h]
    return replace(log, event_type=np.array(types, np.int8), event_types=("view", "buy"))


def fitted(name: str, log: Log, **choices: Any) -> Any:
    kind = find(name)
    model: Any = kind(kind.configure(choices), Sizes(log.num_users, log.num_items)).double()
    model.fit(log)
    return model


def scores(model: Model, *history: int) -> torch.Tensor:
    return model.score(Batch(torch.tensor([0]), torch.tensor([history])))[0, 1:]


def of_type(kind: int) -> float:
    return BUY if kind == 2 else VIEW


def heaviest(history: list[tuple[int, int]], item: int) -> float:
    return max((of_type(kind) for one, kind in history if one == item), default=0.0)


def popularity(histories: list[list[tuple[int, int]]], item: int) -> float:
    return sum(of_type(kind) for h in histories for one, kind in h if one == item)


@given(HISTORIES)
def test_counts_are_sums_of_weights(histories: list[list[tuple[int, int]]]) -> None:
    log = typed(histories)
    counts = [popularity(histories, item) for item in range(1, ITEMS + 1)]
    assert scores(fitted("pop", log, event_weights=WEIGHTS), 0).tolist() == pytest.approx(counts)
    newest = [sum(of_type(k) for h in histories for one, k in h[-1:] if one == i) for i in range(1, ITEMS + 1)]
    recent = scores(fitted("recent-pop", replace(log, time=None), event_weights=WEIGHTS, recent_share=0.01), 0)
    expected = [m + n / (sum(counts) + 1) for m, n in zip(newest, counts, strict=True)]
    assert recent.tolist() == pytest.approx(expected)
    session = scores(fitted("s-pop", log, event_weights=WEIGHTS), 2, 2)
    assert session.tolist() == pytest.approx([n / (1 + n) + 2 * (item == 2) for item, n in enumerate(counts, 1)])


@settings(max_examples=50)
@given(HISTORIES, st.sampled_from(["cosine", "lift", "gru4rec"]), st.integers(1, ITEMS))
def test_item_knn(histories: list[list[tuple[int, int]]], kind: str, one: int) -> None:
    choices: dict[str, Any] = {"similarity": kind, "shrinkage": 2.0, "alpha": 0.3, "num_neighbours": None, "window": 1}
    found = scores(fitted("item-knn", typed(histories), event_weights=WEIGHTS, **choices), one).tolist()
    items = [[item for item, _ in h] for h in histories]
    for two in set(range(1, ITEMS + 1)) - {one}:
        with_two = sum(heaviest(h, two) for h in histories)
        times = [h.count(one) if kind == "gru4rec" else one in h for h in items]
        both = sum(n * heaviest(h, two) for n, h in zip(times, histories, strict=True))
        if kind == "gru4rec":
            below = (sum(times) + 2) ** 0.3 * (popularity(histories, two) + 2) ** 0.7
        else:
            product = sum(times) * with_two
            below = (math.sqrt(product) if kind == "cosine" else product) + 2
        assert found[two - 1] == pytest.approx(both / below, abs=1e-12)


@settings(max_examples=50)
@given(HISTORIES, st.integers(1, ITEMS))
def test_seq_knn(histories: list[list[tuple[int, int]]], one: int) -> None:
    choices: dict[str, Any] = {"num_neighbours": None, "shrinkage": 2.0, "backward_weight": 0.4, "window": 1}
    log = typed(histories)
    found = scores(fitted("seq-knn", log, event_weights=WEIGHTS, length_discount=0.5, **choices), one)
    for two in range(1, ITEMS + 1):
        count = sum(
            len(h) ** -0.5 * abs(q - p) ** -0.3 * of_type(h[q][1]) * (1 if q > p else 0.4)
            for h in histories
            for p in range(len(h))
            for q in range(len(h))
            if p != q and (h[p][0], h[q][0]) == (one, two)
        )
        events = sum(item == one for h in histories for item, _ in h)
        below = (max(events, 1) + 2) ** 0.6 * (max(popularity(histories, two), 1) + 2) ** 0.4
        assert found[two - 1].item() == pytest.approx(count / below, abs=1e-12)


@settings(max_examples=50)
@given(HISTORIES, st.integers(1, ITEMS), st.sampled_from(["vs-knn", "stan"]))
def test_neighbours_are_found_by_all_events_and_score_by_weight(
    histories: list[list[tuple[int, int]]], one: int, name: str
) -> None:
    """Without distances, popularity and lengths, an item has the sum of its weights in the sessions with the item."""
    plain: dict[str, dict[str, Any]] = {
        "vs-knn": {"alpha": 0, "length_discount": 0, "beta": 0, "distance_decay": 0, "backward_weight": 1},
        "stan": {"length_discount": 0, "distance_scale": None},
    }
    found = scores(fitted(name, typed(histories), event_weights=WEIGHTS, **plain[name]), one)
    sessions = [h for h in histories if one in [item for item, _ in h]]
    expected = [sum(heaviest(h, item) for h in sessions) for item in range(1, ITEMS + 1)]
    assert found.tolist() == pytest.approx(expected, abs=1e-12)


@given(HISTORIES)
def test_vs_knn_divides_by_the_weighted_number_of_sessions(histories: list[list[tuple[int, int]]]) -> None:
    flat, normed = (fitted("vs-knn", typed(histories), event_weights=WEIGHTS, beta=beta) for beta in (0.0, 0.5))
    number = [max(sum(heaviest(h, item) for h in histories), 1) + 15 for item in range(1, ITEMS + 1)]
    assert scores(normed, 1, 2).tolist() == pytest.approx((scores(flat, 1, 2).numpy() / np.sqrt(number)).tolist())


def solved(inputs: Floats, targets: Floats, l2: float) -> Floats:
    return np.asarray(np.linalg.solve(inputs.T @ inputs + l2 * np.eye(inputs.shape[1]), inputs.T @ targets))


def item_rows(histories: list[list[tuple[int, int]]]) -> tuple[Floats, Floats]:
    """X and Y: a 1, and the largest weight, of each item of each history."""
    y = np.array([[heaviest(h, item) for item in range(1, ITEMS + 1)] for h in histories])
    return (y > 0).astype(np.float64), y


@settings(max_examples=50)
@given(HISTORIES)
def test_ease_regresses_targets_on_all_items(histories: list[list[tuple[int, int]]]) -> None:
    model = fitted("ease", typed(histories), event_weights=WEIGHTS, l2=3.0)
    x, y = item_rows(histories)
    for item in range(ITEMS):
        others = np.delete(np.arange(ITEMS), item)
        column = model.weight[1:, item + 1].numpy()
        assert column[others] == pytest.approx(solved(x[:, others], y[:, item], 3.0), abs=1e-10)
        assert column[item] == 0


@settings(max_examples=50)
@given(HISTORIES)
def test_slist_weighs_what_is_predicted(histories: list[list[tuple[int, int]]]) -> None:
    choices: dict[str, Any] = {"normalize": False, "max_diagonal": None, "l2": 3.0, "transition_decay": 0.5}
    whole = fitted("slist", typed(histories), event_weights=WEIGHTS, alpha=1.0, **choices)
    assert whole.weight[1:, 1:].numpy() == pytest.approx(solved(*item_rows(histories), 3.0), abs=1e-10)
    inputs, targets = [], []
    for h in histories:
        for cut in range(1, len(h)):
            source, target = np.zeros(ITEMS), np.zeros(ITEMS)
            for distance, (item, _) in enumerate(h[cut - 1 :: -1]):
                source[item - 1] += 0.5**distance
            for distance, (item, kind) in enumerate(h[cut:]):
                target[item - 1] += 0.5**distance * of_type(kind)
            inputs.append(source)
            targets.append(target)
    parts = fitted("slist", typed(histories), event_weights=WEIGHTS, alpha=0.0, **choices)
    expected = solved(np.reshape(inputs, (-1, ITEMS)), np.reshape(targets, (-1, ITEMS)), 3.0)
    assert parts.weight[1:, 1:].numpy() == pytest.approx(expected, abs=1e-10)


@settings(max_examples=50)
@given(HISTORIES)
def test_tale_weighs_its_rows(histories: list[list[tuple[int, int]]]) -> None:
    choices: dict[str, Any] = {"trend_power": 0.0, "min_time_weight": 1.0, "l2": 3.0}
    model = fitted("tale", replace(typed(histories), time=None), event_weights=WEIGHTS, **choices)
    inputs, targets = [], []
    for h in histories:
        for place, (item, kind) in enumerate(h[1:], 1):
            source, target = np.zeros(ITEMS), np.zeros(ITEMS)
            np.add.at(source, [past - 1 for past, _ in h[:place]], 1.0)
            target[item - 1] = 1.0
            inputs.append(np.sqrt(of_type(kind)) * source)
            targets.append(np.sqrt(of_type(kind)) * target)
    expected = solved(np.reshape(inputs, (-1, ITEMS)), np.reshape(targets, (-1, ITEMS)), 3.0)
    assert model.weight[1:, 1:].numpy() == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("name", DIRECT)
def test_targets_are_weights_of_zero_and_one(name: str) -> None:
    log = testing.subject(MODELS[name]).log
    of_targets = fitted(name, with_targets(log, ("buy",))).state_dict()
    weighted = fitted(name, log, event_weights=("view=0",)).state_dict()
    alike = fitted(name, log, event_weights=("buy=1", "view=1")).state_dict()
    for key, value in fitted(name, log).state_dict().items():
        assert torch.equal(of_targets[key], weighted[key])
        assert torch.equal(alike[key], value)


@pytest.mark.parametrize("name", DIRECT)
def test_what_is_never_a_target_has_no_score(name: str) -> None:
    """Item 1 is viewed alone: it is read, and never recommended."""
    log = typed([[(1, 1), (2, 2), (3, 2)], [(1, 1), (3, 2), (4, 1), (2, 2)], [(2, 2), (1, 1), (3, 2)]] * 4)
    found = scores(fitted(name, with_targets(log, ("buy",))), 3 if name == "s-pop" else 1)
    assert not found[0]
    assert found[1:3].all()


@pytest.mark.parametrize("name", ["vs-knn", "seq-knn", "sasrec", "bprmf"])
@pytest.mark.parametrize("law", ["save_load_roundtrip", "determinism", "exact_resume", "no_future_leakage"])
def test_weighted_models_obey_the_laws(name: str, law: str) -> None:
    testing.LAWS[law](testing.subject(MODELS[name], event_weights=("view=0.5",)))


def test_files_of_earlier_versions_have_no_weights_of_targets() -> None:
    log = testing.subject(MODELS["stan"]).log
    model = fitted("stan", log)
    state = model.state_dict()
    assert not len(state.pop("target"))
    other = fitted("stan", log, event_weights=("view=0.5",))
    assert len(other.target)
    other.load_state_dict(state)
    assert torch.equal(scores(other, 3, 5), scores(model, 3, 5))
    other.target = torch.ones(2)
    with pytest.raises(ConfigError, match="sessions have no such weights of targets"):
        other.check_buffers()


def test_an_epoch_draws_targets_by_their_weights() -> None:
    log = synthetic.random(400, 20, 20, seed=1)
    log = replace(log, event_type=(1 + np.arange(len(log)) % 3).astype(np.int8), event_types=("view", "cart", "buy"))
    config = EventWeightsConfig(event_weights=("view=0.4", "cart=0", "buy=2"))
    drawn = [config.draw_targets(log, np.random.default_rng((0, epoch))).is_target for epoch in (0, 1)]
    assert (drawn[0] != drawn[1]).any()
    assert log.event_type is not None
    for is_target in drawn:
        assert is_target is not None
        shares = [is_target[log.event_type == kind].mean() for kind in (1, 2, 3)]
        assert shares == pytest.approx([0.2, 0, 1], abs=0.03)
    assert EventWeightsConfig().draw_targets(log, np.random.default_rng(0)) is log


TRAINED = [
    name for name, kind in MODELS.items() if kind.trained_by_gradient and issubclass(kind.Config, EventWeightsConfig)
]


@pytest.mark.parametrize("name", TRAINED)
def test_every_model_with_the_setting_trains_on_what_counts_alone(name: str) -> None:
    subject = testing.subject(MODELS[name], event_weights=("view=0",))
    log, model = subject.log, subject.build()
    user, item = log.events()
    assert log.event_type is not None
    bought = set(zip(user[log.event_type == 2].tolist(), item[log.event_type == 2].tolist(), strict=True))
    found = set()
    for batch in model.batches(model.config.draw_targets(log, np.random.default_rng(0)), np.random.default_rng(0)):
        row, query, place = batch.targets.nonzero(as_tuple=True)
        found |= set(zip(batch.user[row].tolist(), batch.targets[row, query, place].tolist(), strict=True))
    assert found
    assert found <= bought


def test_which_models_have_the_setting() -> None:
    without = {name for name, kind in MODELS.items() if not issubclass(kind.Config, EventWeightsConfig)}
    assert {name for name in without if MODELS[name].task == "ranking"} == {"item2vec", "mp2vec"}


def test_a_weight_of_zero_is_no_target_in_training_by_gradient() -> None:
    """Item 1 is viewed alone: as it is no target, nothing raises its score."""
    log = typed([[(1, 1), (2, 2), (1, 1), (3, 2)]] * 30)
    for name in ("sasrec", "gru4rec", "bprmf"):
        model = testing.subject(MODELS[name], event_weights=("view=0",), epochs=20).build(log)
        fit(model, log, seed=0)
        with torch.inference_mode():
            found = model.eval().score(Batch(torch.tensor([1]), torch.tensor([[1, 2]])))[0]
        assert found[1] < min(found[2], found[3]), name


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            "view",
            "event_weights=view: must be names of types, each with a weight of at least 0, such as event_weights=",
        ),
        ("view=-1", "event_weights=view=-1: must be names of types"),
        ("view=inf", "event_weights=view=inf: must be names of types"),
        ("view=often", "event_weights=view=often: must be names of types"),
        ("=1", "event_weights==1: must be names of types"),
        ("view=1e-30", "event_weights=view=1e-30: a weight must be 0 or from 1e-06 to 1,000,000"),
        ("view=1e300", "event_weights=view=1e300: a weight must be 0 or from 1e-06 to 1,000,000"),
        ("view=1,view=2", "event_weights=view=1,view=2: names a type twice"),
    ],
)
def test_wrong_weights_are_refused(weights: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        find("pop").configure({"event_weights": weights})


def test_types_with_weights_are_those_of_the_log() -> None:
    log = typed([[(1, 1), (2, 1)], [(2, 1), (3, 1)]])
    with pytest.raises(DataError, match=r"no events of type 'vew', did you mean 'view'.*; it has: view, buy"):
        fitted("pop", log, event_weights=("vew=0.5",))
    with pytest.raises(DataError, match=r"has no types of events; read it with their column, .*--event-col"):
        fitted("pop", replace(log, event_type=None, event_types=()), event_weights=("view=0.5",))
    with pytest.raises(DataError, match="no event counts in training, as event_weights=buy=1,view=0 says"):
        fitted("ease", log, event_weights=("buy=1", "view=0"))


def test_the_setting_is_kept_with_the_others() -> None:
    config = find("ease").configure({"event_weights": "view=0.2, buy=1"})
    assert config.event_weights == ("view=0.2", "buy=1")
    assert find("ease").configure(config.as_dict()) == config
    assert "event_weights" not in find("ease").configure().as_dict()
