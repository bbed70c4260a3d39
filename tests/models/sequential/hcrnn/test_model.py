"""HCRNN: queries depend on their own histories, the loss equals the plain loops, gates and attention can be read."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.hcrnn import plain_loss

from segue import testing
from segue.batches.batch import Batch, SequenceBatch
from segue.data import synthetic
from segue.errors import ConfigError
from segue.models.base.model import Sizes
from segue.models.sequential.hcrnn.model import HCRNN
from segue.models.sequential.hcrnn.running import RunningHCRNN
from segue.training import loop as train
from segue.training.loop import fit

LOG = synthetic.random(12, 9, 60, seed=3)
SHORT_LOG = synthetic.random(12, 9, 14, seed=3)  # of the same sizes
SMALL = {"embedding_dim": 4, "hidden_dim": 5, "num_contexts": 3, "batch_size": 7, "lr": 0.05, "epochs": 2}
WITHOUT_NOISE = {"dropout": 0.0, "hidden_dropout": 0.0, "posterior_noise": 0.0}
KINDS = pytest.mark.parametrize("kind", [HCRNN, RunningHCRNN])


def build(kind: type[HCRNN] = HCRNN, **settings: Any) -> HCRNN:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return kind(kind.configure({**SMALL, **settings}), Sizes(LOG.num_users, LOG.num_items)).double()


def scored(*histories: list[int]) -> Batch:
    longest = max(map(len, histories))
    padded = [[0] * (longest - len(history)) + history for history in histories]
    return Batch(torch.ones(len(histories), dtype=torch.long), torch.tensor(padded))


# ---------------------------------------------------------------------------------------- the history of a query


@KINDS
@pytest.mark.parametrize("settings", [{}, {"variant": 1, "attention": "single"}, {"variant": 2}])
def test_queries_of_one_row_equal_those_of_their_own_histories(kind: type[HCRNN], settings: dict[str, Any]) -> None:
    model = build(kind, **settings).eval()
    history = [3, 1, 3, 7, 2]
    batch = scored(history, [4, 4])
    batch = SequenceBatch(batch.user, batch.history, torch.ones_like(batch.history), batch.history > 0)
    queries = model.queries(batch)
    for length in range(1, 6):
        alone = model.query(scored(history[:length]))
        torch.testing.assert_close(queries[0, length - 1], alone[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(queries[1, -1], model.query(scored([4, 4]))[0], rtol=0, atol=1e-12)
    assert not queries[1, :3].any()


def test_running_theta_is_another_model() -> None:
    """Both models agree after one item; later the running theta was once that of a shorter history."""
    exact, running = build().eval(), build(RunningHCRNN).eval()
    assert torch.equal(exact.query(scored([3])), running.query(scored([3])))
    assert not torch.allclose(exact.query(scored([3, 1])), running.query(scored([3, 1])), atol=1e-9)


def test_bag_holds_distinct_items() -> None:
    model = build().eval()
    once, twice = (model.recordings(torch.tensor(history))["theta"] for history in ([3, 1], [3, 1, 3, 1]))
    torch.testing.assert_close(once, twice, rtol=0, atol=1e-12)


@KINDS
def test_empty_history_has_scores_of_zero(kind: type[HCRNN]) -> None:
    model = build(kind).eval()
    scores = model.score(scored([0, 0], [0, 2]))
    assert not scores[0, 1:].any()
    assert torch.equal(model.score(scored([0, 0]))[0, 1:], scores[0, 1:])


# ---------------------------------------------------------------------------------------- training


def test_loss_and_gradients_equal_plain_loops() -> None:
    """Plain loops under autograd take one step at a time, one query after another."""
    model = build(**WITHOUT_NOISE, kl_weight=0.3)
    batch = next(model.batches(LOG, np.random.default_rng(0)))
    gradients = []
    for loss in (plain_loss(model, batch), model(batch)):
        model.zero_grad()
        loss.backward()
        gradients.append([weight.grad.clone() for weight in model.parameters() if weight.grad is not None])
        torch.testing.assert_close(loss, plain_loss(model, batch), rtol=0, atol=1e-10)
    for plain, fast in zip(*gradients, strict=True):
        torch.testing.assert_close(plain[1:], fast[1:], rtol=0, atol=1e-10)


def test_new_targets_do_not_change_the_total_loss() -> None:
    losses = []
    for settings in ({"new_targets": 1}, {"new_targets": 2}, {"new_targets": None}):
        model = build(**WITHOUT_NOISE, **settings)
        losses.append(sum(float(model(batch).detach()) for batch in model.batches(LOG, np.random.default_rng(0))))
    assert losses == pytest.approx([losses[0]] * 3, abs=1e-9)


def test_divergence_counts_once_for_each_query() -> None:
    batch = next(build().batches(LOG, np.random.default_rng(0)))
    without, with_one, with_two = (
        float(build(**WITHOUT_NOISE, kl_weight=weight)(batch).detach()) for weight in (0.0, 1.0, 2.0)
    )
    assert with_one > without
    assert with_two - without == pytest.approx(2 * (with_one - without))


def test_theta_is_sampled_in_training_only() -> None:
    model = build(dropout=0.0, hidden_dropout=0.0)
    assert not torch.equal(model.query(scored([3, 1])), model.query(scored([3, 1])))
    model.eval()
    assert torch.equal(model.query(scored([3, 1])), model.query(scored([3, 1])))


@pytest.mark.parametrize(("variant", "negative"), [(1, True), (2, False), (3, False)])
def test_weight_of_the_product_is_never_negative(variant: int, negative: bool) -> None:
    model = build(variant=variant)
    assert bool((model.reset_weight < 0).any()) == negative
    fit(model, SHORT_LOG)
    assert bool((model.reset_weight < 0).any()) == negative


@KINDS
def test_fast_matmul_is_not_used_for_many_shapes(kind: type[HCRNN], monkeypatch: pytest.MonkeyPatch) -> None:
    def fast_matmul() -> AbstractContextManager[None]:
        raise AssertionError("a kernel would be compiled for each of many shapes")

    monkeypatch.setattr(train, "fast_matmul", fast_matmul)
    fit(build(kind), SHORT_LOG)


LAWS = [law for law in testing.LAWS if law != "learns_a_cycle"]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(
    "settings",
    [
        {"variant": 1, "attention": "single"},
        {
            "variant": 1,
            "reset_context": "previous",
            "sigma_parametrization": "softplus",
            "attention_scale": "embedding_dim",
            "kl_weight": 0.001,
        },
        {"variant": 2, "new_targets": 4, "window": 6},
    ],
    ids=["single", "author", "new_targets"],
)
def test_laws_hold_for_variants(law: str, settings: dict[str, Any]) -> None:
    testing.LAWS[law](testing.subject(HCRNN, **settings))


# ---------------------------------------------------------------------------------------- scoring


@KINDS
@pytest.mark.parametrize("attention", ["bi", "single"])
def test_recordings_give_the_query(kind: type[HCRNN], attention: str) -> None:
    model = build(kind, attention=attention).eval()
    history = torch.tensor([0, 3, 1, 3, 7])
    recordings = model.recordings(history)
    steps = {"alpha": 3, "local_gate": 4, "update": 5, "reset": 5, "drift": 5, "temporary": 5, "local": 4}
    assert {name: tuple(recordings[name].shape) for name in steps} == {name: (4, size) for name, size in steps.items()}
    assert recordings["theta"].shape == ((4, 3) if kind.running_theta else (3,))
    for name in ("alpha", "theta"):
        torch.testing.assert_close(recordings[name].sum(-1), torch.ones_like(recordings[name].sum(-1)))
    summary = recordings["attention"] @ recordings["temporary"]
    last = recordings["temporary"][-1]
    parts = (
        [summary, last]
        if attention == "single"
        else [last, recordings["local_attention"] @ recordings["temporary"], summary]
    )
    torch.testing.assert_close(torch.cat(parts) @ model.decoder, model.query(scored(history.tolist()))[0])


def test_state_of_a_session_stays_bounded() -> None:
    """Attention covers the last `window` items, and item 0 changes nothing."""
    model = build(RunningHCRNN, window=3).eval()
    assert isinstance(model, RunningHCRNN)
    state, sizes = None, []
    for item in [1, 2, 3, 4, 5, 6]:
        state, scores = model.step(state, torch.tensor([item]))
        sizes.append(state.past[0].shape[1])
    assert sizes == [1, 2, 3, 3, 3, 3]
    after, same = model.step(state, torch.tensor([0]))
    assert torch.equal(after.contexts.state, state.contexts.state)
    assert torch.equal(after.bag, state.bag)
    assert scores.isfinite()[0, 1:].all()
    assert same.isfinite()[0, 1:].all()


def test_hcrnn_has_no_step() -> None:
    """theta of a longer history changes all earlier steps."""
    assert not hasattr(HCRNN, "step")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_dim": 0}, "hidden_dim=0: must be at least 1"),
        ({"num_contexts": 0}, "num_contexts=0: must be at least 1"),
        ({"window": 0}, "window=0: must be at least 1"),
        ({"new_targets": 0}, "new_targets=0: must be at least 1, or none"),
        ({"kl_weight": -1}, "kl_weight=-1: must be at least 0"),
        ({"posterior_noise": -1}, "posterior_noise=-1: must be at least 0"),
        ({"hidden_dropout": 1}, "hidden_dropout=1: must be at least 0 and below 1"),
        ({"variant": 4}, "variant=4: must be one of 1, 2, 3"),
        ({"attention": "none"}, "attention='none': must be one of bi, single"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        HCRNN.configure(settings)
