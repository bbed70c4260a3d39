"""Search spaces are checked against the declared settings of a model."""

from __future__ import annotations

from typing import Any

import pytest
from small_search import LEAVE_ONE_OUT

from segue.config import bounds
from segue.errors import ConfigError
from segue.experiments.experiment import Experiment
from segue.models.base.recbole import NAMES
from segue.models.base.search_space import Choice, Domain, Space, Uniform
from segue.models.registry import MODELS
from segue.models.sequential.hgn import HGN
from segue.tuning.search import Search
from segue.tuning.validate_space import validate_space


def test_values_are_converted_to_the_types_of_the_settings() -> None:
    converted = validate_space(
        {"lr": Choice("0.1"), "reg_weight": Choice("[0.00,0.00]", (0.5, 1)), "window": Uniform(2, 8, 2)}, HGN
    )
    assert converted == {
        "lr": Choice(0.1),
        "reg_weight": Choice((0.0, 0.0), (0.5, 1.0)),
        "window": Uniform(2, 8, 2),
    }
    l2 = validate_space({"l2": Uniform(0, 1)}, MODELS["bprmf"])["l2"]
    assert isinstance(l2, Uniform)
    assert isinstance(l2.low, float)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"lrr": Choice(0.1)}, r"search space of hgn: unknown setting 'lrr', did you mean 'lr'"),
        ({"embedding_dim": Choice(4, "big")}, r"embedding_dim='big': must be a whole number"),
        ({"embedding_dim": Uniform(4.5, 8)}, r"embedding_dim=4\.5: must be a whole number"),
        ({"lr": Uniform(-1.0, 1.0)}, r"lr=-1\.0: must be above 0"),
        ({"pooling": Choice("averge")}, r"pooling='averge': must be one of avg, max"),
        ({"epochs": Choice(3)}, r"epochs is both fixed and searched"),
    ],
)
def test_a_value_outside_the_declaration_of_a_setting_is_refused_before_the_first_trial(
    space: Space, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Search(experiment=Experiment(model="hgn", protocol=LEAVE_ONE_OUT, settings={"epochs": 3}), space=space)


def test_a_value_may_be_valid_only_with_another_value_of_the_space() -> None:
    with pytest.raises(ConfigError, match="gate_avg depends on the instance gates"):
        validate_space({"pooling": Choice("gate_avg")}, HGN, settings={"instance_gate": False})
    both = {"pooling": Choice("gate_avg", "avg"), "instance_gate": Choice(True, False)}
    assert validate_space(both, HGN) == both


def test_values_are_checked_beside_the_settings_of_the_preset() -> None:
    space = {"lr": Choice(0.1)}
    assert validate_space(space, HGN, preset="paper") == space
    with pytest.raises(ConfigError, match="preset 'papers'"):
        validate_space(space, HGN, preset="papers")


@pytest.mark.parametrize("name", MODELS)
def test_the_space_of_a_model_is_within_the_declared_ranges(name: str) -> None:
    model = MODELS[name]
    space = model.space_for(model.configure())
    assert validate_space(space, model) == dict(space)
    for setting, domain in model.space.items():
        lowest, highest = bounds(model.Config.model_fields[setting])
        numbers = [value for value in _ends(domain) if isinstance(value, (int, float)) and not isinstance(value, bool)]
        assert all(lowest is None or number >= lowest for number in numbers)
        assert all(highest is None or number <= highest for number in numbers)


def _ends(domain: Domain) -> tuple[Any, ...]:
    return domain.values if isinstance(domain, Choice) else (domain.low, domain.high)


def test_recboles_names_are_translated_to_settings_that_exist() -> None:
    settings = {name for model in MODELS.values() for name in model.Config.model_fields}
    assert {own for names in NAMES.values() for own in names} <= settings
