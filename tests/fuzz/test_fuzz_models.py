"""Saved models with random damage: of bytes, which a hash finds, and of content, with the hashes made right again.

Loading gives an `ArtefactError`, or a model that recommends what it knows. Commands end with 0 or 2.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from forged_models import forge_facts, forge_table, forge_weights, rehash_model
from fuzzing import PLAIN, VALUES, alarm, at_path, check_command, digest, fuzz
from hypothesis import given
from hypothesis import strategies as st

from segue.data import synthetic
from segue.errors import ArtefactError, SegueError
from segue.evaluation.protocol import Protocol
from segue.experiments.experiment import Experiment
from segue.experiments.rerank import rerank
from segue.models.ensembles.blend import Blend
from segue.serving.recommend import recommend
from segue.serving.saved_model import SavedModel, load, save

LOG = synthetic.with_ratings(synthetic.markov(12, 9, 8, seed=1))
SMALL: dict[str, dict[str, Any]] = {
    "timesvd++": {"epochs": 1, "embedding_dim": 4},
    "bprmf": {"epochs": 1, "embedding_dim": 4},
    "hgn": {"epochs": 1, "embedding_dim": 4},
    "sasrec": {"epochs": 1, "embedding_dim": 4, "window": 5},
}
NAMES = ("pop", "item-knn", "seq-knn", "vs-knn", "mf", *SMALL)
FILES = ("model.json", "weights.safetensors", "users.parquet", "items.parquet", "history.parquet")
MODELS = st.sampled_from([*NAMES, "blend", "stages"])
PICK = st.integers(0, 5)  # of the commands of `check_model`


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `log.csv` and saved models of it."""
    folder = tmp_path_factory.mktemp("world")
    user, item = LOG.events()
    columns = {"user": LOG.users.names(user), "item": LOG.items.names(item), "time": LOG.time, "rating": LOG.rating}
    pl.DataFrame(columns).write_csv(folder / "log.csv")
    protocol = Protocol.named("leave-one-out")
    experiments = {name: Experiment(model=name, protocol=protocol, settings=SMALL.get(name, {})) for name in NAMES}
    outcomes = {name: experiment.run(LOG) for name, experiment in experiments.items()}
    for name, outcome in outcomes.items():
        save(outcome.model, LOG, folder / name, **outcome.about())
    save(Blend(outcomes["pop"].model, outcomes["bprmf"].model, weight=0.5), LOG, folder / "blend")
    stages = rerank(experiments["item-knn"], experiments["bprmf"], LOG, candidates=3)
    save(stages.model, LOG, folder / "stages", **stages.about())
    return folder


def copy_of(world: Path, name: str) -> Path:
    """A fresh copy of one of the models; the examples of a test use it one after the other."""
    shutil.rmtree(world / "copy", ignore_errors=True)
    return shutil.copytree(world / name, world / "copy")


def check_model(folder: Path, pick: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Load a model, recommend with it, and run one of the commands on it; the folder stays as it is."""
    before = digest(folder)
    try:
        with alarm(20):
            saved = load(folder)
    except ArtefactError as error:
        message = str(error)
        assert str(folder) in message
        assert len(message.splitlines()) == 1
    else:
        check_recommendations(saved)
    commands = (
        ["recommend", str(folder), "--user", "1"],
        ["recommend", str(folder), "--history", "1,2", "-k", "3"],
        ["similar", str(folder), "--item", "3"],
        ["explain", str(folder), "--user", "2"],
        ["models", str(folder)],
        ["evaluate", str(folder), "--data", str(folder.parent / "log.csv")],
    )
    check_command(commands[pick], capsys)
    assert digest(folder) == before


def check_recommendations(saved: SavedModel) -> None:
    """At most k different items that the model knows, or a message."""
    try:
        found = [one.item for one in recommend(saved.model, saved.log, user=saved.log.users.names([1])[0], k=5)]
    except SegueError:
        return
    assert len(found) == len(set(found)) <= 5
    assert set(found) <= set(saved.log.items.tokens.to_list())


# ---------------------------------------------------------------------------------------- bytes


def check_byte(world: Path, model: str, file: str, place: float, value: int) -> None:
    """A changed byte is found, unless the description says the same: an E for an e in a number."""
    folder = copy_of(world, model)
    path = folder / file
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= value
    path.write_bytes(content)
    try:
        load(folder)
    except ArtefactError:
        return
    one, other = (json.loads((saved / "model.json").read_text()) for saved in (folder, world / model))
    assert (file, one) == ("model.json", other)


BYTES = st.tuples(MODELS, st.sampled_from(FILES), st.floats(0, 1, exclude_max=True), st.integers(1, 255))


@fuzz(40)
@given(BYTES)
def test_another_byte(world: Path, case: Any) -> None:
    check_byte(world, *case)


# ---------------------------------------------------------------------------------------- model.json


def edit_facts(world: Path, model: str, steps: list[int], action: str, value: object) -> Path:
    """A copy of a model with one change somewhere in its description, and right hashes."""
    folder = copy_of(world, model)

    def edit(facts: dict[str, Any]) -> None:
        holder, key = at_path(facts, steps)
        if isinstance(holder, list) or action == "replace":
            holder[key] = value
        elif action == "delete":
            del holder[key]
        elif action == "nest":
            holder[key] = [holder[key]]
        elif action == "add":
            holder[str(value)[:20]] = value
        else:
            holder[key] = json.loads("[" * 200 + "]" * 200) if action == "deep" else "x" * 2_000_000

    forge_facts(folder, edit)
    return folder


ACTIONS = st.sampled_from(["replace"] * 8 + ["delete", "delete", "nest", "add", "deep", "long"])
FACTS = st.tuples(MODELS, st.lists(st.integers(0, 30), min_size=1, max_size=6), ACTIONS, VALUES)


@fuzz(30)
@given(FACTS, PICK)
def test_another_description(world: Path, capsys: Any, case: Any, pick: int) -> None:
    check_model(edit_facts(world, *case), pick, capsys)


# ---------------------------------------------------------------------------------------- tables

KINDS = (pl.String, pl.Float64, pl.Int64, pl.Int8, pl.Boolean, pl.UInt64, pl.Date, pl.Categorical)


def edit_table(world: Path, model: str, table: str, change: str, column: int, row: int, value: object) -> Path:
    """A copy of a model with one change in one of its tables, and right hashes."""
    folder = copy_of(world, model)

    def edit(frame: pl.DataFrame) -> pl.DataFrame:
        name = frame.columns[column % frame.width]
        cells, index = frame[name].to_list(), row % max(frame.height, 1)
        changed_cells = [*cells[:index], value, *cells[index + 1 :]]
        changes: dict[str, Callable[[], pl.DataFrame]] = {
            "cell": lambda: frame.with_columns(pl.Series(name, changed_cells, frame[name].dtype, strict=False)),
            "column": lambda: frame.with_columns(pl.Series(name, [value] * frame.height, strict=False)),
            "metadata": lambda: frame.with_columns(pl.lit(value).alias(("title", "genre", "name_")[column % 3])),
            "type": lambda: frame.with_columns(pl.col(name).cast(KINDS[row % len(KINDS)], strict=False)),
            "drop": lambda: frame.drop(name),
            "rename": lambda: frame.rename({name: f"{value}"}),
            "reverse": frame.reverse,
            "head": lambda: frame.head(row),
            "twice": lambda: pl.concat([frame, frame]),
            "list": lambda: frame.with_columns(pl.concat_list(name).alias(name)),
            "struct": lambda: frame.with_columns(pl.struct(name).alias(name)),
            "shuffle": lambda: frame.sample(fraction=1, shuffle=True, seed=row),
        }
        return changes[change]()

    try:
        forge_table(folder, table, edit)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError):
        rehash_model(folder)  # no table has such a value
    return folder


NAMED = ("drop", "rename", "reverse", "head", "twice", "list", "struct", "shuffle")
CHANGES = ["cell", "cell", "column", "type", "metadata", *NAMED]
TABLES = st.tuples(
    *(MODELS, st.sampled_from(["users", "items", "history"]), st.sampled_from(CHANGES)),
    *(st.integers(0, 5), st.integers(0, 100), PLAIN),
)


@fuzz(30)
@given(TABLES, PICK)
def test_another_table(world: Path, capsys: Any, case: Any, pick: int) -> None:
    check_model(edit_table(world, *case), pick, capsys)


# ---------------------------------------------------------------------------------------- weights

DTYPES = (torch.float16, torch.float64, torch.int64, torch.int32, torch.bool, torch.uint8, torch.complex64)


def edit_weights(world: Path, model: str, which: int, change: str, place: int, value: float) -> Path:
    """A copy of a model with one change in one of its tensors, or in the header of their file, and right hashes."""
    folder = copy_of(world, model)
    if change == "header":
        path = folder / "weights.safetensors"
        content = bytearray(path.read_bytes())
        content[place % (8 + int.from_bytes(content[:8], "little"))] = which % 256
        path.write_bytes(content)
        rehash_model(folder)
        return folder
    whole = int(np.clip(np.nan_to_num(value), -(2**31), 2**31 - 1))

    def edit(weights: dict[str, torch.Tensor]) -> None:
        name = sorted(weights)[which % len(weights)]
        table = weights[name]
        number = value if table.is_floating_point() else whole
        shapes = (table.flatten(), table[None], table.flatten()[:-1], table.flatten()[:1])
        if change == "number" and table.numel():
            table.view(-1)[place % table.numel()] = number
        elif change == "all":
            table.fill_(number)
        elif change == "drop":
            del weights[name]
        elif change == "add":
            weights[str(value)] = table.clone()
        else:
            weights[name] = table.to(DTYPES[place % len(DTYPES)]) if change == "type" else shapes[place % len(shapes)]

    forge_weights(folder, edit)
    return folder


TENSORS = ["number", "number", "all", "type", "shape", "drop", "add", "header", "header"]
WEIGHTS = st.tuples(
    *(MODELS, st.integers(0, 300), st.sampled_from(TENSORS), st.integers(0, 5000)),
    st.floats(width=32) | st.integers(-100, 100).map(float),
)


@fuzz(30)
@given(WEIGHTS, PICK)
def test_other_weights(world: Path, capsys: Any, case: Any, pick: int) -> None:
    check_model(edit_weights(world, *case), pick, capsys)
