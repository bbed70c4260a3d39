"""Settings are declared once: default, range and description; values are read from text and checked."""

from __future__ import annotations

import json
import pickle
from typing import Any, ClassVar, Literal, get_args

import pytest
from pydantic import ValidationError

from segue.config import Config, Field, Setting, bounds
from segue.errors import ConfigError
from segue.models.registry import MODELS


class Settings(Config):
    """One field of every kind."""

    count: int = 1
    rate: float = 0.5
    flag: bool = False
    kind: Literal["one", "two"] = "one"
    most: int | None = 3
    pair: tuple[float, float] = (0.0, 0.0)
    label: str = "x"
    share: float = Field(0.5, ge=0, lt=1, description="A share.")
    most_or_none: int | None = Field(None, ge=1, description="A limit, or none.")
    renamed: ClassVar[dict[str, str]] = {"portion": "share"}

    def check(self) -> None:
        if self.count > 100 and self.flag:
            raise ConfigError("count above 100 does not go with flag")


class Child(Settings):
    """A subclass that changes two defaults and nothing else, and describes a third anew."""

    share: float = 0.25
    most_or_none: int | None = Field(4, description="Another limit.")


# ---------------------------------------------------------------------------------------- reading settings


@pytest.mark.parametrize(
    ("key", "value", "read"),
    [
        ("count", "7", 7),
        ("count", " 7 ", 7),
        ("count", 7, 7),
        ("rate", "1e-3", 0.001),
        ("rate", 2, 2.0),
        ("flag", "true", True),
        ("flag", "Off", False),
        ("flag", True, True),
        ("flag", 0, False),
        ("kind", "two", "two"),
        ("most", "none", None),
        ("most", None, None),
        ("most", "4", 4),
        ("pair", "0.001,0.00001", (0.001, 0.00001)),
        ("pair", "[0.5, 1]", (0.5, 1.0)),
        ("pair", [1, 2], (1.0, 2.0)),
        ("label", "some text", "some text"),
    ],
)
def test_values_are_read_as_the_type_of_their_field(key: str, value: Any, read: Any) -> None:
    found = getattr(Settings.make({key: value}), key)
    assert found == read
    assert type(found) is type(read)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("count", "many", r"count='many': must be a whole number"),
        ("count", "1.5", r"count='1\.5': must be a whole number"),
        ("count", True, r"count=true: must be a whole number"),
        ("rate", "fast", r"rate='fast': must be a number"),
        ("rate", "nan", r"rate='nan': must be a finite number"),
        ("rate", float("inf"), r"rate=inf: must be a finite number"),
        ("flag", "maybe", r"flag='maybe': must be true or false"),
        ("kind", "three", r"kind='three': must be one of one, two"),
        ("most", "few", r"most='few': must be a whole number"),
        ("pair", "1", r"pair='1': must be 2 numbers, such as pair=0\.001,0\.00001"),
        ("pair", [1, 2, 3], r"pair=1,2,3: must be 2 numbers"),
        ("pair", "a,b", r"pair='a,b': must be 2 numbers"),
    ],
)
def test_what_cannot_be_read_is_said(key: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Settings.make({key: value})


def test_an_unknown_setting_gets_a_near_name() -> None:
    with pytest.raises(ConfigError, match=r"unknown setting 'cuont', did you mean 'count'\?; known: count, flag"):
        Settings.make({"cuont": 1})


@pytest.mark.parametrize("name", MODELS)
def test_plain_values_there_and_back(name: str) -> None:
    """What a config prints can be written as JSON and read again."""
    for preset in (None, *MODELS[name].presets):
        config = MODELS[name].configure(preset=preset)
        again = MODELS[name].Config.make(json.loads(json.dumps(config.as_dict())))
        assert again == config


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("share", 1, r"^share=1: must be at least 0 and below 1$"),
        ("share", "-0.1", r"^share='-0.1': must be at least 0 and below 1$"),
        ("most_or_none", 0, r"^most_or_none=0: must be at least 1, or none$"),
        ("portion", 0.5, r"^unknown setting 'portion': it is now called 'share'$"),
        ("renamed", {}, r"^unknown setting 'renamed'; known: count"),
        ("count", True, r"^count=true: must be a whole number$"),
        ("count", 2**63, r"^count=9223372036854775808: does not fit in 64 bits$"),
    ],
)
@pytest.mark.parametrize("kind", [Settings, Child])
def test_values_out_of_range_are_refused(kind: type[Settings], key: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        kind(**{key: value})


def test_settings_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="count above 100 does not go with flag"):
        Child(count=101, flag=True)
    assert Child(count=101).count == 101


def test_a_changed_default_keeps_range_and_description() -> None:
    rows = {row.name: row for row in Child.settings()}
    assert rows["share"] == Setting("share", "a number", "0.25", "at least 0 and below 1", "A share.")
    assert rows["most_or_none"] == Setting(
        "most_or_none", "a whole number, or none", "4", "at least 1, or none", "Another limit."
    )
    assert (Settings().share, Child().share) == (0.5, 0.25)
    assert bounds(Child.model_fields["share"]) == (0, 1)
    assert bounds(Child.model_fields["count"]) == (None, None)


def test_configs_are_immutable_values() -> None:
    config = Settings(count=3)
    with pytest.raises(ValidationError, match="frozen"):
        config.count = 4  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(config)) == config == Settings(count=3)
    assert hash(config) == hash(Settings(count=3))


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        (
            "sasrec",
            {"negative_sampling": "own"},
            "must be one of per_target, shared, impressions; it is now called 'per_target'$",
        ),
        ("gru4rec", {"input_embedding": "own"}, "it is now called 'separate'$"),
        ("gru4rec", {"negative_sampling": "own"}, "it is now called 'per_target'$"),
        ("narm", {"gate_activation": "hard"}, "it is now called 'hard_sigmoid'$"),
        ("hcrnn", {"reset_context": "before"}, "it is now called 'previous'$"),
        ("mf", {"dim": 4}, "unknown setting 'dim': it is now called 'embedding_dim'$"),
    ],
)
def test_errors_give_the_present_names(model: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MODELS[model].configure(settings)


@pytest.mark.parametrize("name", MODELS)
def test_renamed_values_are_values_of_today(name: str) -> None:
    config = MODELS[name].Config
    for base in config.__mro__:
        for setting, values in vars(base).get("renamed_values", {}).items():
            assert set(values.values()) <= set(get_args(config.model_fields[setting].annotation))


@pytest.mark.parametrize("name", MODELS)
def test_every_setting_of_every_model_is_described(name: str) -> None:
    for row in MODELS[name].Config.settings():
        assert row.description.endswith("."), f"{name}: {row.name} needs a description that is a sentence"


@pytest.mark.parametrize("name", MODELS)
def test_the_json_schema_says_what_the_declaration_says(name: str) -> None:
    schema = MODELS[name].Config.model_json_schema()["properties"]
    for field, declaration in MODELS[name].Config.model_fields.items():
        assert schema[field]["description"] == declaration.description
        low, _ = bounds(declaration)
        shown = schema[field].get("anyOf", [schema[field]])[0]
        assert low is None or low in (shown.get("minimum"), shown.get("exclusiveMinimum"))
