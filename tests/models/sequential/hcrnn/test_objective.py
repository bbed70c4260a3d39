"""HCRNN's whole objective in numpy, float64: as the paper has it (preset `paper`) and its program (preset `author`).

One prefix at a time, one step at a time, with one noise for each prefix. Equation numbers are the paper's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from segue.batches.batch import SequenceBatch
from segue.models.base.model import Sizes
from segue.models.sequential.hcrnn.model import HCRNN

Array = NDArray[np.float64]
DIM, HIDDEN, CONTEXTS, ITEMS = 4, 5, 3, 9
PREFIXES, TARGETS = [[3, 1, 3, 7, 2], [4, 4], [8]], [5, 1, 3]
NOISE = np.random.default_rng(7).standard_normal((len(PREFIXES), CONTEXTS))
forms = pytest.mark.parametrize("form", ["paper", "author"])
variants = pytest.mark.parametrize(
    ("variant", "attention"), [(variant, attention) for variant in (1, 2, 3) for attention in ("single", "bi")]
)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(x: Array) -> Array:
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


def posterior(w: dict[str, Array], prefix: list[int], form: str) -> tuple[Array, Array, float]:
    """mu and sigma of (31-33), and the divergence from N(0, I)."""
    bag = w["item_embedding"][sorted(set(prefix))].sum(0)
    code = bag @ w["topic_posterior.code.weight"].T + w["topic_posterior.code.bias"]
    code = np.where(code > 0, code, np.expm1(code))
    mean = code @ w["topic_posterior.mean.weight"].T + w["topic_posterior.mean.bias"]
    output = code @ w["topic_posterior.deviation.weight"].T + w["topic_posterior.deviation.bias"]
    if form == "paper":
        return mean, np.exp(output), float((mean**2 + np.exp(2 * output) - 1 - 2 * output).sum() / 2)
    sigma = 1e-6 + np.log1p(np.exp(output))
    return mean, sigma, float((mean**2 + sigma**2 - 1 - np.log(1e-8 + sigma**2)).sum() / 2)


def contexts(w: dict[str, Array], prefix: list[int], theta: Array, variant: int, form: str) -> tuple[Array, Array]:
    """h and c after each step, (13)-(24)."""
    x_local, x_update, x_reset, x_new = np.split(w["input_weight"], [DIM, DIM + HIDDEN, DIM + 2 * HIDDEN], 1)
    b_local, b_update, b_reset, b_new = np.split(w["input_bias"], [DIM, DIM + HIDDEN, DIM + 2 * HIDDEN])
    h_alpha, h_local, h_update, h_reset = np.split(w["state_weight"], [HIDDEN, HIDDEN + DIM, 2 * HIDDEN + DIM], 1)
    memory, h, c, all_h, all_c = w["global_contexts"], np.zeros(HIDDEN), np.zeros(DIM), [], []
    for item in prefix:
        x = w["item_embedding"][item]
        shares = sigmoid(h @ h_alpha + (theta[:, None] * memory) @ w["theta_weight"])
        candidate = softmax(shares @ w["context_attention"]) @ memory
        gate = sigmoid(x @ x_local + h @ h_local + c @ w["local_weight"] + b_local)
        previous, c = c, (1 - gate) * c + gate * candidate
        update = sigmoid(x @ x_update + h @ h_update + c @ w["update_weight"] + b_update)
        reset, drift = x @ x_reset + h @ h_reset + b_reset, np.ones(HIDDEN)
        if variant == 1:
            reset = reset + (c if form == "paper" else previous) @ w["reset_weight"]
        elif variant == 2:
            reset = reset + (x * c) @ w["reset_weight"]
        else:
            drift = sigmoid((x * c) @ w["reset_weight"] + w["drift_bias"])
        new = np.tanh((sigmoid(reset) * drift * h) @ w["new_weight"] + x @ x_new + b_new)
        h = (1 - update) * h + update * new
        all_h.append(h)
        all_c.append(c)
    return np.stack(all_h), np.stack(all_c)


def objective(w: dict[str, Array], *, variant: int, attention: str, form: str) -> float:
    """The negative of the bound (30), summed over prefixes; the program weighs the divergence by .001."""
    total = 0.0
    for prefix, target, noise in zip(PREFIXES, TARGETS, NOISE, strict=True):
        mean, sigma, divergence = posterior(w, prefix, form)
        h, c = contexts(w, prefix, softmax(mean + sigma * noise), variant, form)
        by_state = softmax(sigmoid(h[-1] @ w["attention_query"] + h @ w["attention_key"]) @ w["attention_vector"]) @ h
        features = [by_state, h[-1]]
        if attention == "bi":
            scale = HIDDEN if form == "paper" else DIM
            by_local = softmax((c @ w["local_key"]) @ (c[-1] @ w["local_query"]) / np.sqrt(scale)) @ h
            features = [h[-1], by_local, by_state]
        scores = w["item_embedding"][1:] @ (np.concatenate(features) @ w["decoder"])
        total += -np.log(softmax(scores)[target - 1]) + (1.0 if form == "paper" else 0.001) * divergence
    return total


def model_and_batch(form: str, **settings: Any) -> tuple[HCRNN, SequenceBatch]:
    sizes = {"embedding_dim": DIM, "hidden_dim": HIDDEN, "num_contexts": CONTEXTS, "dropout": 0, "hidden_dropout": 0}
    torch.manual_seed(3)
    model = HCRNN(HCRNN.configure({**sizes, **settings}, form), Sizes(3, ITEMS)).double().train()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.rand_like(weight).mul_(0.3))  # biases are 0 otherwise
        model.item_embedding[0] = 0
    longest = max(map(len, PREFIXES))
    history = torch.tensor([[0] * (longest - len(prefix)) + prefix for prefix in PREFIXES])
    target = torch.zeros_like(history)
    target[:, -1] = torch.tensor(TARGETS)
    return model, SequenceBatch(torch.tensor([1, 2, 3]), history, target, target > 0)


@forms
@variants
def test_loss_and_gradient_of_both_forms(
    form: str, variant: int, attention: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gradient is compared by the difference of the objective along a random direction of all weights."""
    model, batch = model_and_batch(form, variant=variant, attention=attention)
    monkeypatch.setattr(torch, "randn_like", lambda _: torch.from_numpy(NOISE))
    loss = model(batch)
    loss.backward()
    weights = {name: weight.detach().numpy().copy() for name, weight in model.named_parameters()}
    settings: dict[str, Any] = {"variant": variant, "attention": attention, "form": form}
    assert float(loss.detach()) == pytest.approx(objective(weights, **settings), rel=1e-12)

    rng = np.random.default_rng(1)
    direction = {name: rng.standard_normal(weight.shape) for name, weight in weights.items()}
    ends = [{name: w + step * direction[name] for name, w in weights.items()} for step in (1e-5, -1e-5)]
    slope = (objective(ends[0], **settings) - objective(ends[1], **settings)) / 2e-5
    gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    assert slope == pytest.approx(sum(float((g.numpy() * direction[n]).sum()) for n, g in gradients.items()), rel=1e-6)


@variants
def test_forms_are_different_objectives(variant: int, attention: str) -> None:
    """Otherwise a table with a line of each would have one line twice."""
    model, _ = model_and_batch("paper", variant=variant, attention=attention)
    weights = {name: weight.detach().numpy() for name, weight in model.named_parameters()}
    values = [objective(weights, variant=variant, attention=attention, form=form) for form in ("paper", "author")]
    assert abs(values[0] - values[1]) > 0.1
