"""`RankingModel`: every loss with every way of drawing negatives, against the formulas written out target by target."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segue.batches.batch import Batch, SequenceBatch
from segue.batches.negative_sampling import PopularityNegatives
from segue.batches.sequences import SlidingWindows
from segue.data import synthetic
from segue.data.log import Log
from segue.data.splits import leave_last_out
from segue.errors import ConfigError
from segue.evaluation.metrics import hit
from segue.evaluation.ranking import rank
from segue.models.base import ranking
from segue.models.base.model import Sizes
from segue.models.base.ranking import Loss, RankingConfig, RankingModel
from segue.models.sequential.hgn import HGN
from segue.nn.embedding import zero_padding
from segue.training.loop import fit

ITEMS = 6
LOG = synthetic.random(7, ITEMS, 9, seed=1)
OWN = [name for name in get_args(Loss) if name != "ce"]
WAYS = [(loss, sampling) for loss in OWN for sampling in ("per_target", "shared")] + [("ce", "per_target")]


class Toy(RankingModel):
    """Looks for the sum of a user's vector and that of the last item of each window."""

    name = "toy"
    Config = RankingConfig
    window = 2

    def __init__(self, config: RankingConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.user = nn.Parameter(torch.randn(sizes.num_users + 1, config.embedding_dim))
        self.item = nn.Parameter(torch.randn(sizes.num_items + 1, config.embedding_dim))
        zero_padding(self.user)
        zero_padding(self.item)

    @property
    def item_embeddings(self) -> Tensor:
        return self.item

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        windows = SlidingWindows(
            window=self.window,
            num_targets=2,
            windows_per_row=3,
            num_negatives=self.config.negatives_per_target,
            positions="every",
        )
        return self.with_shared_negatives(windows.batches(log, self.config.batch_size, rng), log, rng)

    def queries(self, batch: Batch) -> Tensor:
        count = batch.history.shape[1] - self.window + 1
        return self.user[batch.user].unsqueeze(1) + self.item[batch.history[:, -count:]]


def build(kind: type[Toy] = Toy, **settings: Any) -> Toy:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        chosen = {"embedding_dim": 3, "num_negatives": 4, "batch_size": 20, **settings}
        return kind(kind.configure(chosen), Sizes(LOG.num_users, ITEMS)).double()


def first(model: Toy) -> SequenceBatch:
    return next(iter(model.batches(LOG, np.random.default_rng(3))))


# ---------------------------------------------------------------------------------------- in loops


def among(loss: str, config: RankingConfig, right: Tensor, wrong: list[Tensor], expected: list[float]) -> Tensor:
    """The loss of a target with score `right` among negatives with scores `wrong`, each expected so often."""
    if loss in ("bce", "gbce"):
        rate = config.num_negatives / (ITEMS - 1)
        beta = rate * (config.gbce_t * (1 - 1 / rate) + 1 / rate) if loss == "gbce" else 1.0
        positive = -beta * torch.log(torch.sigmoid(right))
        return positive - sum(torch.log(1 - torch.sigmoid(score)) for score in wrong)
    if loss == "sampled-ce":
        often = expected if config.logq_correction else [1.0] * len(wrong)
        others = sum(torch.exp(score) / n for score, n in zip(wrong, often, strict=True))
        return -torch.log(torch.exp(right) / (torch.exp(right) + others))
    if not wrong:
        return torch.zeros((), dtype=torch.double)
    share = torch.softmax(torch.stack(wrong), 0)
    each = torch.stack([torch.sigmoid(score - right) + torch.sigmoid(score**2) for score in wrong])
    won = torch.stack([torch.sigmoid(right - score) for score in wrong])
    length = (share * torch.stack(wrong) ** 2).sum()
    return {
        "bpr": -torch.log(won).mean(),
        "top1": each.mean(),
        "top1-max": (share * each).sum(),
        "bpr-max": -torch.log((share * won).sum()) + config.bpreg * length,
    }[loss]


def reference(model: Toy, batch: Batch) -> Tensor:
    """The loss of a batch, target by target."""
    config, total = model.config, torch.zeros((), dtype=torch.double)
    vectors = model.item
    if config.temperature:
        vectors = vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-12)
    for row, question in batch.target_mask.nonzero().tolist():
        query = model.user[batch.user[row]] + model.item[batch.history[row, question + model.window - 1]]
        if config.temperature:
            query = query / query.norm() / config.temperature
        for place in range(2):
            target = int(batch.target[row, question + place])
            if not target:
                continue
            scores = vectors @ query
            if config.loss == "ce":
                total = total + scores[1:].logsumexp(0) - scores[target]
                continue
            if batch.shared_negatives is None:
                drawn = [item for item in batch.negatives[row, question, place].tolist() if item]
                expected = [config.num_negatives / (ITEMS - 1)] * len(drawn)
            else:
                drawn = [item for item in batch.shared_negatives.tolist() if item != target]
                weight = np.maximum(LOG.counts()[1:], 1) ** config.sample_alpha
                expected = [config.num_negatives * weight[item - 1] / weight.sum() for item in drawn]
            wrong = [scores[item] for item in drawn]
            total = total + among(config.loss, config, scores[target], wrong, expected)
    return total


def assert_as_reference(model: Toy, batch: SequenceBatch, scale: float = 0.5) -> None:
    expected = reference(model, batch)
    gradients = torch.autograd.grad(expected * scale, [model.user, model.item])
    loss = model(batch)
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-9)
    (loss * scale).backward()
    for weight, wanted in zip((model.user, model.item), gradients, strict=True):
        assert weight.grad is not None
        torch.testing.assert_close(weight.grad[1:], wanted[1:], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize(("loss", "sampling"), WAYS)
def test_loss_and_gradients_in_loops(loss: str, sampling: str, temperature: float) -> None:
    for settings in (
        {},
        {"num_negatives": 1},
        {"sample_alpha": 1.0, "logq_correction": False, "gbce_t": 0.2, "bpreg": 0.3},
    ):
        model = build(loss=loss, negative_sampling=sampling, temperature=temperature, **settings)
        assert_as_reference(model, first(model))


@pytest.mark.parametrize("loss", OWN)
def test_a_target_without_a_negative(loss: str) -> None:
    """Users who have touched every item have none of their own; of shared ones all may be the target."""
    full = synthetic.from_sequences([[1, 2, 3, 1, 2, 3]])
    model = Toy(Toy.configure({"embedding_dim": 3, "loss": loss, "num_negatives": 2}), Sizes(1, 3)).double()
    batch = next(iter(model.batches(full, np.random.default_rng(0))))
    assert not batch.negatives.any()
    shared = torch.full((3,), 2)
    same = replace(
        batch, target=torch.where(batch.target > 0, 2, 0), negatives=batch.negatives[..., :0], shared_negatives=shared
    )
    for case in (batch, replace(same, log_expected_count=torch.zeros(4, dtype=torch.double))):
        model.zero_grad()
        loss_of_it = model(case)
        loss_of_it.backward()
        assert loss_of_it.isfinite()
        assert all(weight.grad is None or weight.grad.isfinite().all() for weight in model.parameters())
        if loss not in ("bce", "gbce"):
            assert loss_of_it == 0


@pytest.mark.parametrize("temperature", [0.0, 0.5])
@pytest.mark.parametrize("loss", OWN)
def test_own_negatives_are_scored_alike_one_by_one_and_among_all_items(
    loss: str, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = []
    for items_per_lookup in (0, ITEMS):
        monkeypatch.setattr(ranking, "ITEMS_PER_LOOKUP", items_per_lookup)
        model = build(loss=loss, negative_sampling="per_target", temperature=temperature)
        value = model(first(model))
        value.backward()
        values.append((value.detach(), model.item.grad, model.user.grad))
    torch.testing.assert_close(values[0], values[1], rtol=1e-12, atol=1e-12)


# ---------------------------------------------------------------------------------------- the correction


def partition(model: Toy, batch: SequenceBatch, target: int) -> float:
    """e^score(target) + the others' share, as the loss of a target has it: e^(loss + score)."""
    with torch.no_grad():
        score = model.queries(batch)[0, 0] @ model.item[target]
        return math.exp(float(model(batch) + score))


def one_question(target: int, **fields: Any) -> SequenceBatch:
    user, history, mask = torch.tensor([1]), torch.tensor([[0, 2]]), torch.tensor([[True]])
    return SequenceBatch(user, history, torch.tensor([[target]]), mask, **fields)


def estimated(model: Toy, target: int) -> float:
    """What the estimated partition function is on average, over all that can be drawn."""
    popular = PopularityNegatives(LOG.counts(), model.config.sample_alpha)
    chance = torch.from_numpy(popular.log_expected_count(model.config.num_negatives))
    each = np.exp(popular.log_expected_count(1))
    total = 0.0
    for drawn in itertools.product(range(1, ITEMS + 1), repeat=model.config.num_negatives):
        batch = one_question(target, shared_negatives=torch.tensor(drawn), log_expected_count=chance)
        total += float(np.prod(each[list(drawn)])) * partition(model, batch, target)
    return total


def estimated_by_own(model: Toy, target: int) -> float:
    """The same with negatives of a user who has touched nothing but the target."""
    others = [item for item in range(1, ITEMS + 1) if item != target]
    every = list(itertools.product(others, repeat=model.config.num_negatives))
    batches = [one_question(target, negatives=torch.tensor(drawn)[None, None, None]) for drawn in every]
    return sum(partition(model, batch, target) for batch in batches) / len(every)


def whole(model: Toy, target: int) -> float:
    with torch.no_grad():
        query = model.queries(one_question(target))[0, 0]
        return float((model.item[1:] @ query).exp().sum())


def assert_unbiased(model: Toy, estimate: Callable[[Toy, int], float]) -> None:
    for target in (1, 3, ITEMS):
        assert estimate(model, target) == pytest.approx(whole(model, target), rel=1e-9)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("negatives", [1, 3])
def test_shared_negatives_estimate_the_whole_softmax(alpha: float, negatives: int) -> None:
    """On average over all draws the corrected sum is that over all items: negatives count for how rarely they are
    drawn, the target counts once, whole."""
    assert_unbiased(
        build(loss="sampled-ce", negative_sampling="shared", sample_alpha=alpha, num_negatives=negatives), estimated
    )


@pytest.mark.parametrize("negatives", [1, 3])
def test_own_negatives_estimate_the_whole_softmax(negatives: int) -> None:
    assert_unbiased(build(loss="sampled-ce", num_negatives=negatives), estimated_by_own)


class CountsCollisions(Toy):
    """A drawn target counts as a negative too."""

    def forward(self, batch: Batch) -> Tensor:
        positive, negative = (
            self.queries(batch)[0, 0] @ self.item[ids].T for ids in (batch.target[0], batch.shared_negatives)
        )
        corrected = negative - batch.log_expected_count[batch.shared_negatives]
        return torch.cat([positive, corrected]).logsumexp(0) - positive[0]


class CorrectsTheTarget(Toy):
    """The target's score is lowered as well, by how often it would be drawn."""

    def forward(self, batch: Batch) -> Tensor:
        plain = super().forward(batch)
        score = self.queries(batch)[0, 0] @ self.item[batch.target[0, 0]]
        others = (plain + score).exp() - score.exp()
        moved = score - batch.log_expected_count[batch.target[0, 0]]
        return torch.log(moved.exp() + others) - score


@pytest.mark.parametrize(
    ("kind", "settings"), [(Toy, {"logq_correction": False}), (CountsCollisions, {}), (CorrectsTheTarget, {})], ids=str
)
def test_a_wrong_correction_is_caught(kind: type[Toy], settings: dict[str, Any]) -> None:
    model = build(kind, loss="sampled-ce", negative_sampling="shared", num_negatives=2, **settings)
    with pytest.raises(AssertionError):
        assert_unbiased(model, estimated)


# ---------------------------------------------------------------------------------------- what it is fed


def test_shared_negatives_are_drawn_anew_for_each_batch() -> None:
    model = build(loss="bpr", negative_sampling="shared", num_negatives=50, sample_alpha=1.0)
    batches = list(model.batches(LOG, np.random.default_rng(0)))
    assert len(batches) > 2
    for batch in batches:
        assert batch.negatives.shape[3] == 0
        assert batch.shared_negatives.shape == (50,)
        assert batch.shared_negatives.min() >= 1
        assert batch.shared_negatives.max() <= ITEMS
        assert batch.log_expected_count[1:].exp().sum() == pytest.approx(50)
    assert not torch.equal(batches[0].shared_negatives, batches[1].shared_negatives)


@pytest.mark.parametrize(("settings", "own"), [({"loss": "ce"}, 0), ({"loss": "bpr"}, 4), ({"loss": "gbce"}, 4)])
def test_without_sharing_nothing_is_shared(settings: dict[str, Any], own: int) -> None:
    model = build(**settings)
    assert model.config.negatives_per_target == own
    for batch in model.batches(LOG, np.random.default_rng(0)):
        assert batch.shared_negatives is batch.log_expected_count is None
        assert batch.negatives.shape[3] == own


def test_the_same_seed_shares_the_same() -> None:
    model = build(loss="bpr", negative_sampling="shared")
    one, two = (list(model.batches(LOG, np.random.default_rng(4))) for _ in range(2))
    assert all(
        torch.equal(a.shared_negatives, b.shared_negatives) and torch.equal(a.history, b.history)
        for a, b in zip(one, two, strict=True)
    )


@pytest.mark.parametrize(("loss", "sampling"), WAYS)
def test_slices_add_up(loss: str, sampling: str) -> None:
    """Every slice of a batch meets all shared negatives, and the same ones."""
    model = build(loss=loss, negative_sampling=sampling)
    batch = first(model)
    together = model(batch)
    apart = sum(model(part) for part in batch.slices(2))
    torch.testing.assert_close(together, apart, rtol=1e-10, atol=1e-10)
    shares = sum(model(batch.shard(rank, 3)) for rank in range(3))
    torch.testing.assert_close(together, shares, rtol=1e-10, atol=1e-10)


# ---------------------------------------------------------------------------------------- what it answers


def test_scores_are_cosines_over_the_temperature() -> None:
    model = build(temperature=0.2)
    batch = Batch(torch.tensor([1, 2]), torch.tensor([[3], [5]]))
    with torch.no_grad():
        query = model.user[[1, 2]] + model.item[[3, 5]]
        wanted = torch.cosine_similarity(query[:, None], model.item[None], dim=2) / 0.2
        torch.testing.assert_close(model.score(batch)[:, 1:], wanted[:, 1:])
        model.item[4] *= 7  # its length does not matter
        torch.testing.assert_close(model.score(batch)[:, 1:], wanted[:, 1:])


@pytest.mark.parametrize("temperature", [0.0, 0.2])
def test_a_query_is_that_of_the_last_question(temperature: float) -> None:
    model = build(temperature=temperature)
    history = torch.tensor([[1, 2, 3, 4]])
    for length in range(1, 5):
        found = model.query(Batch(torch.tensor([2]), history[:, 4 - length :]))
        torch.testing.assert_close(found, model.query(Batch(torch.tensor([2]), history)))


# ---------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"embedding_dim": 0}, "embedding_dim=0: must be at least 1"),
        ({"num_negatives": 0}, "num_negatives=0: must be at least 1"),
        ({"sample_alpha": 1.5}, "sample_alpha=1.5: must be between 0 and 1"),
        ({"sample_alpha": -0.1}, "sample_alpha=-0.1: must be between 0 and 1"),
        ({"gbce_t": 2.0}, "gbce_t=2.0: must be between 0 and 1"),
        ({"bpreg": -1.0}, "bpreg=-1.0: must be at least 0"),
        ({"temperature": -1.0}, "temperature=-1.0: must be at least 0"),
        ({"loss": "hinge"}, "loss='hinge': must be one of bpr, bce, gbce, ce, sampled-ce, top1, top1-max, bpr-max"),
        ({"negative_sampling": "mine"}, "negative_sampling='mine': must be one of per_target, shared"),
    ],
    ids=str,
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Toy.configure(settings)


# ---------------------------------------------------------------------------------------- a real model


@pytest.mark.parametrize(("loss", "sampling"), WAYS)
def test_hgn_learns_with_every_loss(loss: str, sampling: str) -> None:
    """The next item of a walk round a cycle, of which popularity knows nothing."""
    log = synthetic.cycle(100, 12, 8, seed=2)
    split = leave_last_out(log)
    settings = {
        "embedding_dim": 8,
        "window": 3,
        "num_targets": 1,
        "training_windows": "every",
        "windows_per_row": 4,
        "weight_decay": 0.0,
    }
    settings |= {
        "loss": loss,
        "negative_sampling": sampling,
        "num_negatives": 6,
        "batch_size": 100,
        "lr": 0.03,
        "epochs": 12,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = HGN(HGN.configure(settings), Sizes(log.num_users, log.num_items))
    fit(model, split.train_valid)
    share = float(hit(rank(model.eval(), split.instances("test"), exclude_seen=True, depth=3), 1).mean())
    assert share >= 0.8, f"{loss}, {sampling}: the next item comes first for {share:.0%} of users only"
