"""`segue blend`: what it prints and saves, and its error messages."""

from __future__ import annotations

import json
import shutil

import pytest

from segue.serving.saved_model import load

PAIR = "models/pop models/hgn --data events.csv"


def test_the_blend_is_shown_beside_its_parts_and_saved(segue, here):
    code, out, err = segue(f"blend {PAIR} --json blend.json")
    assert code == 0, err
    for name in ("models/pop", "models/hgn", "models/blend"):
        assert name in out
    found = json.loads((here / "blend.json").read_text())
    assert [row["model"] for row in found["models"]] == ["models/pop", "models/hgn", "models/blend"]
    saved = load(here / "models/blend")
    weight, values = saved.model.config.weight, found["weights"]["values"]
    assert weight == found["weights"]["weight"]
    assert values[str(weight)] == max(values.values())
    assert [part["model"] for part in saved.about["experiment"]["parts"]] == ["pop", "hgn"]
    assert saved.about["results"]["models"][0]["metrics"] == {
        metric: {**cell, "best": True} for metric, cell in _alone(found).items()
    }


def _alone(found):
    """The row of the blend without the comparison with the other models."""
    return {
        metric: {key: value for key, value in cell.items() if key != "against"}
        for metric, cell in found["models"][2]["metrics"].items()
    }


def test_every_command_accepts_a_blend(segue, here):
    assert segue(f"blend {PAIR}")[0] == 0
    assert segue("evaluate models/blend models/pop --data events.csv")[0] == 0
    code, out, err = segue("recommend models/blend --user u3 -k 2")
    assert (code, err) == (0, "")
    assert "Recommended to user u3" in out
    assert segue("blend models/blend models/hgn --data events.csv --out models/three")[0] == 0
    assert load(here / "models/three").model.first.name == "blend"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("blend models/pop models/pop --data events.csv", "models/pop is given twice"),
        (
            f"blend {PAIR} --out models/hgn",
            "models/hgn: is also what is read, models/hgn; choose another",
        ),
        (f"blend {PAIR} --monitor ndcg@99", "ranks only the first 20 items; use ndcg@20"),
        ("blend models/pop models/ratio --data events.csv", "train both under the same"),
        ("blend models/pop models/other --data events.csv", "models/other: was trained on another log"),
        ("blend models/pop models/absent --data events.csv", "models/absent: no such model folder"),
        (f"blend {PAIR} --out events.csv", "events.csv"),
    ],
)
def test_models_that_cannot_be_blended(segue, here, command, message):
    code, out, err = segue(command)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (here / "models/blend").exists()


def test_a_refitted_model_cannot_be_blended(segue, here):
    assert segue("run pop events.csv --refit --out models/refitted --no-baselines")[0] == 0
    code, _, err = segue("blend models/refitted models/hgn --data events.csv")
    assert code == 2
    assert "models/refitted: was refitted on training and validation data" in err


def test_a_damaged_part_leaves_the_saved_blend_unchanged(segue, here):
    assert segue(f"blend {PAIR}")[0] == 0
    shutil.copy(here / "events.csv", here / "models/pop/weights.safetensors")
    code, _, err = segue(f"blend {PAIR}")
    assert code == 2
    assert "damaged" in err
    assert load(here / "models/blend").model.name == "blend"
