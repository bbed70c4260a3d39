"""What the parts of a combined model say: their own ranking of what the whole recommends, and their shares."""

from __future__ import annotations

import pytest
import torch

from segue.data import synthetic
from segue.explain.occlusion import explain
from segue.models.base.model import DirectModel, Sizes
from segue.models.ensembles.blend import Blend
from segue.models.ensembles.rerank import Rerank
from segue.models.hybrid.model import Hybrid
from segue.models.registry import MODELS
from segue.serving.recommend import recommend
from segue.training.loop import fit

LOG = synthetic.markov(40, 17, 12, seed=1, shortest=3)


def fitted(name: str) -> DirectModel:
    model = MODELS[name](MODELS[name].configure(), Sizes.of(LOG))
    assert isinstance(model, DirectModel)
    model.fit(LOG)
    return model


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_places_are_those_of_the_parts_alone(exclude_seen: bool) -> None:
    parts = fitted("pop"), fitted("item-knn")
    explanation = explain(Blend(*parts, weight=0.25), LOG, user=2, k=4, exclude_seen=exclude_seen)
    assert [(one.name, one.share) for one in explanation.parts] == [("pop", 0.75), ("item-knn", 0.25)]
    for part, opinion in zip(parts, explanation.parts, strict=True):
        alone = [one.item for one in recommend(part, LOG, user=2, k=17, exclude_seen=exclude_seen)]
        for one, place in zip(explanation.recommended, opinion.places, strict=True):
            if one.item in alone:  # an item without a similarity to the history is not recommended
                assert alone.index(one.item) == place - 1


def test_shares_of_a_hybrid_are_those_of_its_pool() -> None:
    torch.manual_seed(0)
    model = Hybrid(Hybrid.configure({"epochs": 1, "held_out_share": 0.2}), Sizes.of(LOG))
    fit(model, LOG)
    model.pool.weight.copy_(torch.tensor([1.0, 0.0]))
    model.pool.weight_of_features.zero_()
    shares = {one.name: one.share for one in explain(model, LOG, user=2, k=2).parts}
    assert list(shares) == ["learnt-counts", "core"]
    assert shares["learnt-counts"] == pytest.approx(torch.tensor([1.0, 0.0]).softmax(0)[0].item())
    assert sum(shares.values()) == pytest.approx(1)  # type: ignore[arg-type]


def test_stages_have_no_shares_and_parts_of_one_name_are_numbered() -> None:
    stages = explain(Rerank(fitted("pop"), fitted("item-knn"), candidates=5), LOG, user=2, k=2).parts
    assert [(one.name, one.share) for one in stages] == [("pop", None), ("item-knn", None)]
    twins = explain(Blend(fitted("pop"), fitted("pop"), weight=0.5), LOG, user=2, k=2).parts
    assert [one.name for one in twins] == ["pop 1", "pop 2"]
    assert twins[0].places == twins[1].places == [1, 2]


def test_a_single_model_has_no_parts() -> None:
    assert explain(fitted("item-knn"), LOG, user=2, k=2).parts == []
