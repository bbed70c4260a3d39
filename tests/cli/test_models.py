"""`segue models`: the list of models, and the settings of one from their declaration."""

from __future__ import annotations

import json

import pytest

from segue.models.registry import MODELS

from .logs import done


@pytest.fixture(autouse=True)
def wide(here, monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")


def test_the_list_has_every_model_with_a_description(segue, here):
    out = done(segue("models --json models.json"))
    rows = json.loads((here / "models.json").read_text())["models"]
    assert [row["model"] for row in rows] == list(MODELS)
    assert {row["predicts"] for row in rows} == {"next items", "ratings"}
    for row in rows:
        assert row["description"]
        assert f" {row['model']} " in out


@pytest.mark.parametrize("name", MODELS)
def test_the_settings_of_a_model_are_those_of_its_declaration(segue, here, name):
    out = done(segue(f"models {name} --json schema.json"))
    kind = MODELS[name]
    schema = json.loads((here / "schema.json").read_text())
    assert schema["model"] == name
    assert set(schema.get("properties", {})) == set(kind.Config.model_fields)
    text = " ".join(out.split())
    for setting in kind.Config.settings():
        assert f" {setting.name} " in text
        assert setting.default in text
        assert setting.range in text
        assert schema["properties"][setting.name]["description"] == setting.description
    for preset, settings in kind.presets.items():
        assert f" {preset} " in text
        assert set(settings) <= set(schema["presets"][preset])
    for setting in kind.space_for(kind.configure()):
        assert f" {setting} " in text


def test_the_search_space_is_shown_in_words(segue):
    out = done(segue("models hgn"))
    assert " 0.0005 to 0.01, log scale" in out
    assert " 32, 64, 128" in out


def test_an_unknown_model(segue):
    code, out, err = segue("models hgm")
    assert (code, out) == (2, "")
    assert err.startswith("segue: no model 'hgm', did you mean 'hgn'")
