"""Blends: the arithmetic against numpy, the choice against ranking with every weight, the artefact to the bit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.batches.batch import Batch
from segue.config import Config
from segue.data import synthetic
from segue.data.log import Log
from segue.data.splits import Split, leave_last_out
from segue.errors import ArtefactError, ConfigError, DataError
from segue.evaluation.protocol import Protocol
from segue.evaluation.task import measure
from segue.experiments import blend
from segue.experiments.blend import Blend, select_weight
from segue.experiments.experiment import Experiment
from segue.models.base.model import Model, Sizes
from segue.models.ensembles.blend import mix, standardised_scores
from segue.models.registry import MODELS
from segue.serving.saved_model import load, save
from segue.training.loop import fit

LOG = synthetic.markov(60, 17, 12, seed=1, shortest=4)
PROTOCOL = Protocol.named("leave-one-out")
KNN = {"max_distance": 3, "window": 3}


class FixedScores(Model):
    """Scores that do not depend on the question, but for what the newest item adds."""

    name = "fixed"
    Config = Config

    def __init__(self, scores: Any, window: int | None = 1) -> None:
        super().__init__(Config(), Sizes(60, len(scores) - 1))
        self.window = window
        self.register_buffer("scores", torch.as_tensor(scores, dtype=torch.float64))

    def score(self, batch: Batch, items: torch.Tensor | None = None) -> torch.Tensor:
        assert self.window is None or batch.history.shape[1] == self.window
        scores = self.scores.repeat(len(batch), 1)
        scores[:, 0] = -torch.inf
        return scores if items is None else scores[:, items]


def trained(name: str, log: Log, **chosen: Any) -> Model:
    kind = MODELS[name]
    model = kind(kind.configure(chosen), Sizes(log.num_users, log.num_items))
    fit(model, log)
    return model


@pytest.fixture(scope="module")
def split() -> Split:
    return leave_last_out(LOG)


@pytest.fixture(scope="module")
def pair(split: Split) -> tuple[Model, Model]:
    return trained("seq-knn", split.train, **KNN), trained(
        "bprmf", split.train, embedding_dim=4, epochs=2, batch_size=64
    )


def questions(split: Split, model: Model) -> Batch:
    instances = split.instances("test")
    return Batch(torch.from_numpy(instances.user), torch.from_numpy(instances.histories(model.window)))


SCORES = st.lists(st.integers(-50, 50) | st.just(-np.inf), min_size=9, max_size=9)


@settings(max_examples=60)
@given(one=SCORES, two=SCORES, weight=st.sampled_from([0.1, 0.5, 0.75]))
def test_standardised_scores_are_added_up(one: list[float], two: list[float], weight: float) -> None:
    def scaled(scores: list[float]) -> np.ndarray:
        x = np.array([-np.inf, *scores[1:]])
        known = np.isfinite(x)
        if known.any():
            x[known] = (x[known] - x[known].mean()) / (x[known].std() or 1)
        return x

    model = Blend(FixedScores(one), FixedScores(two), weight=weight)
    found = model.score(Batch(torch.tensor([1]), torch.tensor([[2]])))[0].numpy()
    np.testing.assert_allclose(found, (1 - weight) * scaled(one) + weight * scaled(two), atol=1e-9)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6])
def test_equal_scores_say_nothing(constant: float) -> None:
    scores = np.linspace(0, 1, 9)
    model = Blend(FixedScores(scores), FixedScores(np.full(9, constant)), weight=0.9)
    found = model.score(Batch(torch.tensor([1]), torch.tensor([[2]])))[0, 1:]
    assert (found.diff() > 0).all()


def test_a_weight_of_0_or_1_scores_one_model_only(split: Split) -> None:
    one, two = FixedScores([0, 1, 2, 3]), FixedScores([0, -np.inf, 5, 4])
    batch = Batch(torch.tensor([1]), torch.tensor([[2]]))
    assert Blend(one, two, weight=0.0).score(batch)[0].argsort().tolist() == [0, 1, 2, 3]
    assert Blend(one, two, weight=1.0).score(batch)[0, 2:].argsort().tolist() == [1, 0]
    assert Blend(one, two, weight=0.5).score(batch)[0, 1] == -np.inf


def test_each_part_sees_the_history_that_it_reads() -> None:
    long, short, none = (
        FixedScores(range(5), window=3),
        FixedScores(range(5), window=1),
        FixedScores(range(5), window=0),
    )
    every = FixedScores(range(5), window=None)
    assert Blend(long, short, weight=0.5).window == 3
    assert Blend(none, none, weight=0.5).window == 0
    assert Blend(short, every, weight=0.5).window is None
    assert Blend(long, none, weight=0.5).score(Batch(torch.tensor([1]), torch.tensor([[4, 1, 2]]))).shape == (1, 5)


def test_nan_is_not_hidden() -> None:
    model = Blend(FixedScores([0, 1, 2]), FixedScores([0, np.nan, 2]), weight=0.5)
    assert model.score(Batch(torch.tensor([1]), torch.tensor([[2]])))[0, 1:].isnan().any()


def test_models_of_other_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="built for 60 users and 2 items and 60 users and 3 items"):
        Blend(FixedScores(range(3)), FixedScores(range(4)), weight=0.5)
    with pytest.raises(ConfigError, match=r"weight=1.5: must be between 0 and 1"):
        Blend(FixedScores(range(3)), FixedScores(range(3)), weight=1.5)


def test_the_chosen_weight_is_the_best_of_all(split: Split, pair: tuple[Model, Model]) -> None:
    weights = (0.0, 0.25, 0.5, 0.75, 1.0)
    choice = select_weight(*pair, split, PROTOCOL, weights=weights)
    slow = {
        weight: measure(PROTOCOL.rank(Blend(*pair, weight=weight), split, "valid"), "ndcg@10").mean()
        for weight in weights
    }
    assert choice.values == pytest.approx(slow)
    assert choice.values[choice.weight] == max(choice.values.values())


def test_blocks_change_nothing(split: Split, pair: tuple[Model, Model], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = select_weight(*pair, split, PROTOCOL)
    monkeypatch.setattr(blend, "MAX_SCORES", 1)
    assert select_weight(*pair, split, PROTOCOL).values == pytest.approx(whole.values)


def test_each_model_scores_a_block_once(split: Split) -> None:
    evaluated = []

    class Counting(FixedScores):
        def score(self, batch: Batch, items: torch.Tensor | None = None) -> torch.Tensor:
            evaluated.append(len(batch))
            return super().score(batch, items)

    select_weight(Counting(range(18)), FixedScores(range(18)), split, PROTOCOL)
    assert evaluated == [len(split.instances("valid"))]


def test_a_useless_partner_gets_no_weight(split: Split, pair: tuple[Model, Model]) -> None:
    choice = select_weight(pair[0], FixedScores(np.zeros(18)), split, PROTOCOL)
    assert choice.weight == 0.0
    assert choice.values[0.5] == pytest.approx(choice.values[0.0])


def test_models_stay_in_their_mode(split: Split, pair: tuple[Model, Model]) -> None:
    pair[1].train()
    select_weight(*pair, split, PROTOCOL)
    assert pair[1].training


def test_questions_about_what_was_seen_are_left_out() -> None:
    log = synthetic.from_sequences([[1, 2, 3, 1, 4], [2, 3, 1, 4, 2], [3, 4, 2, 1, 3]] * 20, num_items=4)
    split = leave_last_out(log)
    models = trained("pop", split.train), trained("seq-knn", split.train)
    values = select_weight(*models, split, PROTOCOL, weights=(0.0,)).values
    assert values[0.0] == measure(PROTOCOL.rank(models[0], split, "valid"), "ndcg@10").mean()


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"monitor": "ndcg@50"}, "monitor ndcg@50: leave-one-out ranks only the first 20 items; use ndcg@20"),
        ({"weights": ()}, "no weight to try"),
        ({"weights": (0.5, 2.0)}, r"weight=2.0: must be between 0 and 1"),
    ],
)
def test_choices_that_cannot_be_made(
    split: Split, pair: tuple[Model, Model], chosen: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        select_weight(*pair, split, PROTOCOL, **chosen)


def test_a_split_without_validation_is_refused(pair: tuple[Model, Model]) -> None:
    with pytest.raises(DataError, match="leave-one-out leaves no validation instance to select a weight by"):
        select_weight(*pair, leave_last_out(LOG, valid=0), PROTOCOL)


@pytest.mark.parametrize("refit", [False, True])
def test_blending_does_not_use_the_test_set(refit: bool, split: Split) -> None:
    """The weight is that of the models of the train part; with refit those of train and validation are blended."""
    first = Experiment(model="seq-knn", protocol=PROTOCOL, settings=KNN, refit=refit)
    second = Experiment(
        model="bprmf", protocol=PROTOCOL, settings={"embedding_dim": 4, "epochs": 2, "batch_size": 64}, refit=refit
    )
    blended = blend.blend(first, second, LOG)
    chosen = [experiment.build(LOG) for experiment in (first, second)]
    trainings = [
        experiment.select_epoch(model, split) for experiment, model in zip((first, second), chosen, strict=True)
    ]
    assert blended.selection == select_weight(*chosen, split, PROTOCOL)
    if refit:
        chosen = [r.run_refit(LOG, t.best).model for r, t in zip((first, second), trainings, strict=True)]
    batch = questions(split, blended.model)
    expected = Blend(*chosen, weight=blended.selection.weight).eval().score(batch)
    assert torch.equal(blended.model.eval().score(batch), expected)
    ranks = PROTOCOL.rank(blended.model, split, "test")
    assert np.array_equal(blended.result.predictions.rank, ranks.rank)
    assert [part.result.model for part in blended.parts] == ["seq-knn", "bprmf"]
    json.dumps(blended.about())


def test_experiments_with_different_protocols_are_refused() -> None:
    first = Experiment(model="pop", protocol=PROTOCOL)
    for second in (replace(first, protocol=Protocol.named("hgn")), replace(first, refit=True)):
        with pytest.raises(ConfigError, match="give both the same protocol, refit and final"):
            blend.blend(first, second, LOG)


def test_a_saved_blend_of_blends_answers_to_the_bit(tmp_path: Path, split: Split, pair: tuple[Model, Model]) -> None:
    model = Blend(Blend(*pair, weight=0.3), trained("pop", split.train), weight=0.2).eval()
    again = load(save(model, LOG, tmp_path / "blend")).model
    batch = questions(split, model)
    with torch.inference_mode():
        assert torch.equal(again.score(batch), model.score(batch))
        assert torch.equal(again.score(batch, torch.tensor([3, 0, 3])), model.score(batch)[:, [3, 0, 3]])


def test_a_part_that_is_not_known_is_refused(tmp_path: Path, pair: tuple[Model, Model]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(pair[0]), "name", "unknown-knn")
        folder = save(Blend(*pair, weight=0.3), LOG, tmp_path / "blend")
    with pytest.raises(ArtefactError, match="holds a model 'unknown-knn' that this segue does not have"):
        load(folder)


def test_mixing_with_weight_0_ignores_the_other_scores() -> None:
    scores = torch.tensor([[1.0, -torch.inf]])
    assert mix(scores, None, 0.0) is scores
    assert mix(None, scores, 1.0) is scores
    fixed = FixedScores(range(5))
    batch = Batch(torch.tensor([1]), torch.tensor([[2]]))
    assert standardised_scores(fixed, batch)[0, 1:].mean().item() == pytest.approx(0)
