"""HCRNN: each question sees its own history alone, the fast walk is the plain one, gates and attentions can be read."""

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
SMALL = {"embedding_dim": 4, "hidden_dim": 5, "num_contexts": 3, "batch_size": 7, "lr": 0.05, "epochs": 2}
STILL = {"dropout": 0.0, "hidden_dropout": 0.0, "posterior_noise": 0.0}
KINDS = pytest.mark.parametrize("kind", [HCRNN, RunningHCRNN])


def build(kind: type[HCRNN] = HCRNN, **settings: Any) -> HCRNN:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return kind(kind.configure({**SMALL, **settings}), Sizes(LOG.num_users, LOG.num_items)).double()


def asked(*histories: list[int]) -> Batch:
    longest = max(map(len, histories))
    padded = [[0] * (longest - len(history)) + history for history in histories]
    return Batch(torch.ones(len(histories), dtype=torch.long), torch.tensor(padded))


# ---------------------------------------------------------------------------------------- what a question sees


@KINDS
@pytest.mark.parametrize("settings", [{}, {"variant": 1, "attention": "single"}, {"variant": 2}])
def test_a_question_sees_its_own_history(kind: type[HCRNN], settings: dict[str, Any]) -> None:
    """Questions that share a row get what each gets by itself."""
    model = build(kind, **settings).eval()
    history = [3, 1, 3, 7, 2]
    batch = asked(history, [4, 4])
    batch = SequenceBatch(batch.user, batch.history, torch.ones_like(batch.history), batch.history > 0)
    found = model.queries(batch)
    for length in range(1, 6):
        alone = model.query(asked(history[:length]))
        torch.testing.assert_close(found[0, length - 1], alone[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(found[1, -1], model.query(asked([4, 4]))[0], rtol=0, atol=1e-12)
    assert not found[1, :3].any()


def test_a_running_theta_is_another_model() -> None:
    """After one item they agree; then theta was once that of a shorter history."""
    exact, running = build().eval(), build(RunningHCRNN).eval()
    assert torch.equal(exact.query(asked([3])), running.query(asked([3])))
    assert not torch.allclose(exact.query(asked([3, 1])), running.query(asked([3, 1])), atol=1e-9)


def test_an_item_is_in_the_bag_once() -> None:
    model = build().eval()
    once, twice = (model.readouts(torch.tensor(history))["theta"] for history in ([3, 1], [3, 1, 3, 1]))
    torch.testing.assert_close(once, twice, rtol=0, atol=1e-12)


@KINDS
def test_who_did_nothing_gets_an_answer(kind: type[HCRNN]) -> None:
    model = build(kind).eval()
    scores = model.score(asked([0, 0], [0, 2]))
    assert not scores[0, 1:].any()
    assert torch.equal(model.score(asked([0, 0]))[0, 1:], scores[0, 1:])


# ---------------------------------------------------------------------------------------- training


def test_the_fast_walk_is_the_plain_one() -> None:
    """The same loss and gradients as one step at a time under autograd, whatever questions share a row."""
    model = build(**STILL, kl_weight=0.3)
    batch = next(model.batches(LOG, np.random.default_rng(0)))
    gradients = []
    for loss in (plain_loss(model, batch), model(batch)):
        model.zero_grad()
        loss.backward()
        gradients.append([weight.grad.clone() for weight in model.parameters() if weight.grad is not None])
        torch.testing.assert_close(loss, plain_loss(model, batch), rtol=0, atol=1e-10)
    for plain, fast in zip(*gradients, strict=True):
        torch.testing.assert_close(plain[1:], fast[1:], rtol=0, atol=1e-10)


def test_stretches_ask_what_single_questions_ask() -> None:
    losses = []
    for settings in ({"new_targets": 1}, {"new_targets": 2}, {"new_targets": None}):
        model = build(**STILL, **settings)
        losses.append(sum(float(model(batch).detach()) for batch in model.batches(LOG, np.random.default_rng(0))))
    assert losses == pytest.approx([losses[0]] * 3, abs=1e-9)


def test_the_divergence_counts_once_a_question() -> None:
    batch = next(build().batches(LOG, np.random.default_rng(0)))
    without, with_one, with_two = (
        float(build(**STILL, kl_weight=weight)(batch).detach()) for weight in (0.0, 1.0, 2.0)
    )
    assert with_one > without
    assert with_two - without == pytest.approx(2 * (with_one - without))


def test_theta_is_drawn_in_training_alone() -> None:
    model = build(dropout=0.0, hidden_dropout=0.0)
    assert not torch.equal(model.query(asked([3, 1])), model.query(asked([3, 1])))
    model.eval()
    assert torch.equal(model.query(asked([3, 1])), model.query(asked([3, 1])))


@pytest.mark.parametrize(("variant", "negative"), [(1, True), (2, False), (3, False)])
def test_the_weight_of_the_likeness_is_never_negative(variant: int, negative: bool) -> None:
    model = build(variant=variant)
    assert bool((model.reset_weight < 0).any()) == negative
    fit(model, LOG)
    assert bool((model.reset_weight < 0).any()) == negative


@KINDS
def test_products_of_many_shapes_are_the_usual_ones(kind: type[HCRNN], monkeypatch: pytest.MonkeyPatch) -> None:
    def quick() -> AbstractContextManager[None]:
        raise AssertionError("a kernel is made for each of many shapes")

    monkeypatch.setattr(train, "fast_matmul", quick)
    fit(build(kind), LOG)


OTHERS = [law for law in testing.LAWS if law != "learns_a_cycle"]


@pytest.mark.parametrize("law", OTHERS)
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
    ids=["single", "author", "training_sequences"],
)
def test_laws_of_the_variants(law: str, settings: dict[str, Any]) -> None:
    testing.LAWS[law](testing.subject(HCRNN, **settings))


# ---------------------------------------------------------------------------------------- in use


@KINDS
@pytest.mark.parametrize("attention", ["bi", "single"])
def test_readouts_are_what_the_query_was_made_of(kind: type[HCRNN], attention: str) -> None:
    model = build(kind, attention=attention).eval()
    history = torch.tensor([0, 3, 1, 3, 7])
    found = model.readouts(history)
    steps = {"alpha": 3, "local_gate": 4, "update": 5, "reset": 5, "drift": 5, "temporary": 5, "local": 4}
    assert {name: tuple(found[name].shape) for name in steps} == {name: (4, size) for name, size in steps.items()}
    assert found["theta"].shape == ((4, 3) if kind.running_theta else (3,))
    for name in ("alpha", "theta"):
        torch.testing.assert_close(found[name].sum(-1), torch.ones_like(found[name].sum(-1)))
    seen = found["attention"] @ found["temporary"]
    last = found["temporary"][-1]
    parts = [seen, last] if attention == "single" else [last, found["local_attention"] @ found["temporary"], seen]
    torch.testing.assert_close(torch.cat(parts) @ model.decoder, model.query(asked(history.tolist()))[0])


def test_a_step_costs_the_same_anywhere() -> None:
    """What is remembered stays of one size, and what is no item changes nothing."""
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


def test_the_exact_form_has_no_step() -> None:
    """theta of a longer history changes every step before."""
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
