"""Configs, presets, and the one dot product."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Config
from segue.data import synthetic
from segue.data.splits import leave_last_out
from segue.errors import ConfigError, SegueError
from segue.models.base.model import DotProductModel, Sizes
from segue.models.base.recbole import own_settings
from segue.models.base.score_buffer import instance_batch
from segue.models.registry import MODELS, find
from segue.models.sequential.hgn import HGN
from segue.nn.embedding import zero_padding
from segue.training.loop import fit


@pytest.mark.parametrize("name", MODELS)
def test_models_go_by_their_name(name: str) -> None:
    assert MODELS[name].name == name
    assert find(name) is MODELS[name]


def test_unknown_model_and_preset() -> None:
    with pytest.raises(ConfigError, match=r"no model 'hng', did you mean 'hgn'\?; there are: pop, "):
        find("hng")
    with pytest.raises(ConfigError, match=r"hgn has no preset 'autor', did you mean 'author'\?; it has: .*recbole"):
        HGN.configure(preset="autor")
    with pytest.raises(ConfigError, match=r"pop has no preset 'x'; it has: none"):
        find("pop").configure(preset="x")


def test_settings_go_before_the_preset() -> None:
    config = HGN.configure({"embedding_dim": 7}, "recbole")
    assert (config.embedding_dim, config.window) == (7, 50)


OUT_OF_RANGE = {
    ("hgn", "bprmf"): {
        "epochs": [0, -1],
        "batch_size": [0],
        "lr": [0, -0.1],
        "weight_decay": [-1e-9],
        "reduction": ["max"],
        "embedding_dim": [0],
    },
    ("bprmf",): {"l2": [-0.1]},
    ("hgn",): {
        "window": [0],
        "num_targets": [0],
        "windows_per_row": [0],
        "num_negatives": [0],
        "loss": ["hinge"],
        "pooling": ["sum"],
        "training_windows": ["never"],
        "reg_weight": [(-0.1, 0), (0, -0.1)],
    },
    ("item-knn",): {
        "similarity": ["jaccard"],
        "shrinkage": [-1],
        "alpha": [-0.1, 1.1],
        "num_neighbours": [0],
        "window": [0],
        "position_decay": [0, 1.01],
    },
}


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        (name, key, value)
        for names, settings in OUT_OF_RANGE.items()
        for name in names
        for key, values in settings.items()
        for value in values
    ],
)
def test_values_out_of_range_are_refused(name: str, key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"{key}=.*: must"):
        MODELS[name].configure({key: value})


@pytest.mark.parametrize("name", MODELS)
def test_renamed_settings_are_rejected_with_their_present_names(name: str) -> None:
    config_class = MODELS[name].Config
    declared = {old: new for base in config_class.__mro__ for old, new in vars(base).get("renamed", {}).items()}
    for old, new in declared.items():
        if new in config_class.model_fields and old not in config_class.model_fields:
            with pytest.raises(ConfigError, match=rf"unknown setting '{old}': it is now called '\w+'"):
                MODELS[name].configure({old: 1})


def test_pooling_by_the_instance_gates_needs_them() -> None:
    for pooling in ("gate_avg", "gate_max"):
        with pytest.raises(ConfigError, match=rf"pooling={pooling} .* needs instance_gate=true"):
            HGN.configure({"pooling": pooling, "instance_gate": False})


@pytest.mark.parametrize("name", MODELS)
def test_every_preset_trains_and_answers(name: str) -> None:
    log = synthetic.with_features(synthetic.with_ratings(synthetic.markov(12, 9, 8, seed=1)))
    kind = MODELS[name]
    for preset in (None, *kind.presets):
        small = {"epochs": 1} if "epochs" in kind.Config.model_fields else {}
        config = kind.configure(small, preset)
        model = kind(config, Sizes.of(log, config))
        fit(model, log)
        scores = model.eval().score(instance_batch(model, leave_last_out(log).instances("test")))
        assert scores[:, 1:].isfinite().all()


# ---------------------------------------------------------------------------------------- what RecBole's page says


def test_preset_recbole_is_the_page() -> None:
    """Embedding size 64, average pooling, no penalty, cross-entropy."""
    config = HGN.configure(preset="recbole")
    assert (config.embedding_dim, config.pooling, config.reg_weight, config.loss) == (64, "gate_avg", (0.0, 0.0), "ce")
    # and RecBole's general settings: Adam at 1e-3, batches of 2048, the last 50 items, one target after every item
    assert (config.lr, config.batch_size, config.window, config.num_targets) == (1e-3, 2048, 50, 1)
    assert (config.training_windows, config.weight_decay, config.reduction, config.epochs) == (
        "every",
        0.0,
        "mean",
        300,
    )


@pytest.mark.parametrize("lr", ["0.01", "0.001"])
@pytest.mark.parametrize(("pooling", "own_pooling"), [("average", "gate_avg"), ("max", "gate_max")])
@pytest.mark.parametrize("reg_weight", ["[0.00,0.00]", "[0.001,0.00001]"])
@pytest.mark.parametrize("loss", ["CE", "BPR"])
def test_the_pages_settings_can_be_written(lr: str, pooling: str, own_pooling: str, reg_weight: str, loss: str) -> None:
    page = {"learning_rate": lr, "embedding_size": "64", "pooling_type": pooling, "reg_weight": reg_weight}
    config = HGN.configure(own_settings({**page, "loss_type": loss}, HGN.Config.model_fields), "recbole")
    assert (config.lr, config.embedding_dim) == (float(lr), 64)
    assert (config.pooling, config.loss) == (own_pooling, loss.lower())
    assert list(config.reg_weight) == json.loads(reg_weight.replace("0.00,", "0.0,"))


def test_recboles_values_under_the_models_own_names() -> None:
    own = {"pooling": "max", "loss": "ce", "lr": "0.1", "k": "3"}
    assert own_settings(own, HGN.Config.model_fields) == own
    assert own_settings({"pooling": "average", "loss": "BPR"}, HGN.Config.model_fields) == {
        "pooling": "gate_avg",
        "loss": "bpr",
    }
    assert own_settings({"hidden_size": "3"}, ["hidden_dim", "embedding_dim"]) == {"hidden_dim": "3"}


def test_recboles_switch_of_reproducibility_is_refused_with_the_reason() -> None:
    for name in ("hgn", "sasrec"):
        with pytest.raises(ConfigError, match=r"unknown setting 'reproducibility': the same seed always gives"):
            find(name).configure({"reproducibility": "False"})


def test_the_preset_of_the_paper_has_its_settings() -> None:
    config = HGN.configure(preset="paper")
    assert (config.embedding_dim, config.window, config.num_targets, config.lr, config.batch_size) == (
        50,
        5,
        3,
        1e-3,
        4096,
    )
    assert (config.pooling, config.loss, config.reduction, config.item_bias) == ("avg", "bpr", "sum", False)
    assert config.feature_gate
    assert config.instance_gate
    assert config.item_item_product


def test_preset_author_is_their_program() -> None:
    config = HGN.configure(preset="author")
    assert (config.pooling, config.item_bias, config.epochs, config.weight_decay) == ("gate_avg", True, 200, 1e-3)


# ---------------------------------------------------------------------------------------- the dot product


class Fixed(DotProductModel):
    """Query (1, 2) for everybody; item i is (i, -i)."""

    name, Config, window = "fixed", Config, 0

    def query(self, batch: Batch) -> Tensor:
        return torch.tensor([[1.0, 2.0]]).repeat(len(batch), 1)

    def item_vectors(self) -> Tensor:
        item = torch.arange(self.sizes.num_items + 1.0)
        return torch.stack([item, -item], 1)


def test_retriever_scores_all_items_or_some() -> None:
    model = Fixed(Config(), Sizes(3, 4))
    batch = Batch(torch.tensor([1, 2]), torch.zeros(2, 0, dtype=torch.long))
    inf = float("inf")
    assert model.score(batch).tolist() == [[-inf, -1, -2, -3, -4]] * 2
    assert model.score(batch, torch.tensor([3, 0, 3])).tolist() == [[-3, -inf, -3]] * 2


def test_zero_padding_makes_row_0_nothing() -> None:
    table = torch.nn.Parameter(torch.ones(3, 2))
    zero_padding(table)
    assert table.tolist() == [[0, 0], [1, 1], [1, 1]]
    assert table.requires_grad


def test_errors_of_settings_are_errors_of_input() -> None:
    assert issubclass(ConfigError, SegueError)
