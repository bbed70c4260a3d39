"""Re-ranking: candidates, the order of the rest, the laws, and training without the test set."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from segue import testing
from segue.batches.batch import Batch, PairBatch
from segue.config import Config
from segue.data import synthetic
from segue.data.log import Log
from segue.data.splits import leave_last_out
from segue.errors import ConfigError
from segue.evaluation.protocol import Protocol
from segue.experiments.blend import Blend
from segue.experiments.experiment import Experiment
from segue.experiments.rerank import TrainedStage, fit_stages, rerank, train_and_test_stages
from segue.explain.rating import explain_rating
from segue.models.base.model import DirectModel, Model, Sizes
from segue.models.base.rating import PairScorer
from segue.models.ensembles.rerank import Rerank, RerankConfig
from segue.models.registry import MODELS
from segue.serving.saved_model import load, save
from segue.training.loop import fit

LOG = synthetic.with_ratings(synthetic.markov(60, 17, 12, seed=1, shortest=4))
PROTOCOL = Protocol.named("leave-one-out")
ONE = Batch(torch.tensor([1]), torch.tensor([[2]]))


class FixedScores(Model):
    """Scores that do not depend on the question."""

    name = "fixed"
    Config = Config

    def __init__(self, scores: Any, window: int | None = 1) -> None:
        super().__init__(Config(), Sizes(60, len(scores) - 1))
        self.window = window
        self.register_buffer("scores", torch.as_tensor(scores, dtype=torch.float64))

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        assert self.window is None or batch.history.shape[1] == self.window
        scores = self.scores.repeat(len(batch), 1)
        scores[:, 0] = -torch.inf
        return scores if items is None else scores[:, items]


class Pair(PairScorer):
    """A rating is the number of the item, less the user's; remembers the items of each call."""

    name, Config, window = "pair", Config, 0

    def __init__(self, items: int) -> None:
        super().__init__(Config(), Sizes(60, items))
        self.evaluated: list[list[int]] = []

    def predict(self, batch: PairBatch) -> Tensor:
        self.evaluated.append(batch.item.tolist())
        return batch.item - batch.user.double()


SCORES = st.lists(st.integers(-3, 3) | st.just(-np.inf), min_size=9, max_size=9)


@settings(max_examples=80)
@given(one=SCORES, two=SCORES, candidates=st.integers(1, 9), history=st.lists(st.integers(0, 8), max_size=4))
def test_what_is_returned_is_ordered_and_the_rest_is_behind(
    one: list[float], two: list[float], candidates: int, history: list[int]
) -> None:
    model = Rerank(FixedScores(one, None), FixedScores(two, None), candidates=candidates)
    found = model.score(Batch(torch.tensor([1]), torch.tensor([history or [0]])))[0].tolist()
    new = sorted((one[i] for i in range(1, 9) if i not in history), reverse=True)
    cut = new[candidates] if len(new) > candidates else -np.inf
    returned = {i for i in range(1, 9) if one[i] > cut}
    assert sum(i not in history for i in returned) <= candidates
    finite = [two[i] for i in returned if two[i] > -np.inf]
    for item in range(9):
        if item in returned:
            assert found[item] == two[item]
        elif item == 0 or one[item] == -np.inf:
            assert found[item] == -np.inf
        else:
            assert found[item] == min(finite, default=0) - 1


def test_a_pair_scorer_scores_the_candidates_once_per_user() -> None:
    first, second = FixedScores([0, 9, 8, 1, 2, 7, 0], None), Pair(6)
    model = Rerank(first, second, candidates=2)
    batch = Batch(torch.tensor([1, 5]), torch.tensor([[0, 0], [3, 1]]))
    scores = model.score(batch)
    assert second.evaluated == [[1, 2], [1, 2, 5]], "item 1 does not count for user 5, who had it"
    assert scores.tolist() == [[-np.inf, 0, 1, -1, -1, -1, -1], [-np.inf, -4, -3, -5, -5, 0, -5]]
    assert torch.equal(model.score(batch, torch.tensor([5, 0, 5])), scores[:, [5, 0, 5]])


def test_all_items_are_candidates_of_a_small_catalogue() -> None:
    for candidates in (6, 7, 1000):
        found = Rerank(FixedScores(range(7)), Pair(6), candidates=candidates).score(ONE)
        assert found[0, 1:].tolist() == [0, 1, 2, 3, 4, 5]


def test_nan_is_not_hidden() -> None:
    for one, two in (([0, 1, np.nan], [0, 1, 2]), ([0, 1, 2], [0, 1, np.nan])):
        assert Rerank(FixedScores(one), FixedScores(two), candidates=1).score(ONE).isnan().any()


def test_each_part_sees_the_history_that_it_reads() -> None:
    long, short, none = (
        FixedScores(range(5), window=3),
        FixedScores(range(5), window=1),
        FixedScores(range(5), window=0),
    )
    for pair in ((long, short), (short, none), (none, long)):
        found = Rerank(*pair, candidates=2).score(Batch(torch.tensor([1]), torch.tensor([[4, 1, 2, 1]])))
        assert found.tolist() == [[-np.inf, 1, 2, 3, 4]], "old or new, what was seen does not count"


def test_what_was_seen_long_ago_does_not_count() -> None:
    """A first stage that reads little returns as many new items to a user with a long past."""
    sequence = [*range(1, 13), *range(1, 5), 13]
    log = synthetic.from_sequences([sequence] * 3, num_items=17)
    split = leave_last_out(log, valid=0)
    model = Rerank(FixedScores([0, *range(17, 0, -1)], window=1), FixedScores(range(18), window=1), candidates=2)
    found = PROTOCOL.rank(model, split, "test")
    assert found.rank.tolist() == [2, 2, 2], "13 and 14 are returned, and the second prefers 14"


def test_what_cannot_be_two_stages() -> None:
    with pytest.raises(
        ConfigError, match="fixed cannot re-rank the candidates of fixed: they are built for 60 users and 3 it"
    ):
        Rerank(FixedScores(range(3)), FixedScores(range(4)))
    with pytest.raises(ConfigError, match="candidates=0: must be at least 1"):
        Rerank(FixedScores(range(3)), FixedScores(range(3)), candidates=0)


class RerankOptions(DirectModel):
    """A popular first stage that returns nearly all, and item-KNN or MF behind it: a class, as the laws want one."""

    name, Config = "stages", Config
    second: ClassVar[str] = "seq-knn"

    def __init__(self, config: Config, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        one, two = (MODELS[name](MODELS[name].configure(), sizes) for name in ("item-knn", self.second))
        self.whole = Rerank(one, two, candidates=8)
        self.window = self.whole.window

    def fit(self, log: Log) -> None:
        for part in (self.whole.first, self.whole.second):
            fit(part, log)

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        return self.whole.score(batch, items)


class RatedStages(RerankOptions):
    """The same with the means of a pairwise model, which scores one pair at a time."""

    second = "biases"


@pytest.mark.parametrize("law", testing.LAWS)
@pytest.mark.parametrize("kind", [RerankOptions, RatedStages])
def test_law(kind: type[RerankOptions], law: str) -> None:
    if law == "learns_a_cycle" and kind is RatedStages:
        pytest.skip("biases know nothing of what comes next")
    testing.LAWS[law](testing.subject(kind))


def trained(name: str, log: Log, **chosen: Any) -> Model:
    kind = MODELS[name]
    model = kind(kind.configure(chosen), Sizes(log.num_users, log.num_items))
    fit(model, log)
    return model.eval()


SMALL = {"embedding_dim": 4, "epochs": 3, "batch_size": 64, "lr": 0.05}


@pytest.mark.parametrize("refit", [False, True])
def test_training_does_not_use_the_test_set(refit: bool) -> None:
    """The epoch is that which orders the candidates of the first stage best on validation."""
    first = Experiment(model="seq-knn", protocol=PROTOCOL, refit=refit)
    second = Experiment(model="bprmf", protocol=PROTOCOL, settings=SMALL, refit=refit)
    found = rerank(first, second, LOG, candidates=5)
    split = leave_last_out(LOG)
    knn, figures = trained("seq-knn", split.train), []
    for epochs in (1, 2, 3):
        model = replace(second, settings={**SMALL, "epochs": epochs}).build(LOG)
        fit(model, split.train)
        figures.append(PROTOCOL.validation_metric(Rerank(knn, model, candidates=5), split, "ndcg@10"))
    assert found.training.best == 1 + int(np.argmax(figures))
    assert found.training.metric == pytest.approx(max(figures))
    log = split.train_valid if refit else split.train
    model = replace(second, settings={**SMALL, "epochs": found.training.best}).build(LOG)
    fit(model, log)
    wanted = PROTOCOL.rank(Rerank(trained("seq-knn", log), model, candidates=5), split, "test")
    assert np.array_equal(found.result.predictions.rank, wanted.rank)  # type: ignore[union-attr]
    assert [result.model for result in found.results] == ["seq-knn", "bprmf after seq-knn"]
    facts = json.loads(json.dumps(found.about()))
    assert [part["model"] for part in facts["experiment"]["parts"]] == ["seq-knn", "bprmf"]
    assert (facts["experiment"]["candidates"], facts["experiment"]["refit"]) == (5, refit)


@pytest.mark.parametrize("resumable", [True, False])
def test_each_training_keeps_its_state_in_a_folder_of_its_own(
    resumable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The choice of the epoch and the refit of both stages; none where no folder is given."""
    folders: list[Path | None] = []

    def recorded(work: Any) -> Any:
        return lambda *arguments, **options: folders.append(options["folder"]) or work(*arguments, **options)

    for name in ("select_epoch", "refit_model"):
        monkeypatch.setattr(Experiment, name, recorded(getattr(Experiment, name)))
    experiment = Experiment(model="bprmf", protocol=PROTOCOL, settings=SMALL, refit=True)
    rerank(experiment, replace(experiment, seed=1), LOG, candidates=5, folder=tmp_path if resumable else None)
    assert len(folders) == 4
    if resumable:
        assert len({folder for folder in folders if folder and tmp_path in (folder, *folder.parents)}) == 4
    else:
        assert folders == [None] * 4


def test_a_first_stage_that_is_ready_stays_as_it_is() -> None:
    first, second = (Experiment(model=name, protocol=PROTOCOL) for name in ("item-knn", "mf"))
    outcome = first.run(LOG)
    found = rerank(TrainedStage(outcome.model, outcome.result, outcome.about()), second, LOG, candidates=4)
    assert found.model.first is outcome.model
    again = rerank(first, second, LOG, candidates=4)
    assert found.about()["experiment"] == again.about()["experiment"]
    assert np.array_equal(found.result.predictions.rank, again.result.predictions.rank)  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="already trained cannot be fitted again: name its model instead"):
        rerank(TrainedStage(outcome.model, outcome.result, {}), replace(second, refit=True), LOG)


@pytest.mark.parametrize("other", [{"refit": True}, {"protocol": Protocol.named("recbole")}])
def test_experiments_with_different_protocols_are_refused(other: dict[str, Any]) -> None:
    first = Experiment(model="pop", protocol=PROTOCOL)
    with pytest.raises(
        ConfigError, match="pop cannot order the candidates of pop: give both the same protocol, refit and final"
    ):
        rerank(replace(first, **other), first, LOG)


def test_ratings_are_not_ordered() -> None:
    first, second = (Experiment(model=name, protocol=Protocol.named("ratings")) for name in ("pop", "mf"))
    with pytest.raises(ConfigError, match="ratings: a protocol of ratings, and two stages order items"):
        rerank(first, second, LOG)


def test_a_saved_pair_of_stages_answers_to_the_bit_and_is_explained(tmp_path: Path) -> None:
    model = Rerank(
        Blend(trained("pop", LOG), trained("seq-knn", LOG), weight=0.7),
        trained("mf", LOG, embedding_dim=3),
        candidates=6,
    ).eval()
    again = load(save(model, LOG, tmp_path / "stages")).model
    instances = leave_last_out(LOG).instances("test")
    batch = Batch(torch.from_numpy(instances.user), torch.from_numpy(instances.histories(model.window)))
    with torch.inference_mode():
        assert torch.equal(again.score(batch), model.score(batch))
    wanted = explain_rating(model.second, LOG, user=3, item=2)
    assert explain_rating(model, LOG, user=3, item=2) == wanted


@pytest.mark.parametrize("function", [rerank, train_and_test_stages, fit_stages])
def test_without_a_number_of_candidates_it_is_that_of_the_model(function: Any) -> None:
    assert inspect.signature(function).parameters["candidates"].default == RerankConfig().candidates
