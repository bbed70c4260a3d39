"""HCRNN's figures: streaks of a genre, recorded gates, the map of embeddings, and all figures on small logs."""

from __future__ import annotations

import builtins
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from stored_form import form_differences

from segue.data import synthetic
from segue.data.datasets import catalog
from segue.data.log import Log
from segue.errors import ConfigError, DataError
from segue.evaluation.protocol import Protocol
from segue.models.base.model import Sizes
from segue.models.registry import find
from segue.papers.hcrnn import figures as hcrnn_figures
from segue.papers.hcrnn import figures_paper as hcrnn_figures_paper
from segue.papers.hcrnn.embedding_map import EmbeddingSpace, tsne
from segue.papers.hcrnn.gates import (
    ALPHA,
    ATTENTION,
    CHANGE,
    DRIFT,
    LOCAL_ATTENTION,
    LOCAL_CHANGE,
    NARM_ATTENTION,
    NARM_RESET,
    RESET,
    RESET_DRIFT,
    THETA,
    read_gates,
)
from segue.papers.hcrnn.genres import Genres
from segue.papers.printed import AS_PRINTED
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

LISTED = [["Action", "Crime"], ["Action"], ["Action", "Horror"], ["Romance"], [], ["Crime"]]


def films(log: Log, listed: list[list[str]]) -> Log:
    table = {"title": [f"Film {item}" for item in range(1, log.num_items + 1)], "genres": listed}
    return replace(log, item_metadata=pl.DataFrame(table, schema_overrides={"genres": pl.List(pl.String)}))


KNOWN = films(synthetic.from_sequences([[1, 2, 3, 4, 5, 6]]), LISTED)


# ---------------------------------------------------------------------------------------- genres


def test_a_streak_has_one_genre_in_common() -> None:
    genres = Genres.of(KNOWN)
    assert genres.names == ("Action", "Crime", "Horror", "Romance")
    length, same = genres.streaks(np.array([1, 2, 3, 4, 2]))
    assert length.tolist() == [0, 1, 2, 3, 1]
    assert same.tolist() == [False, True, True, False, False]
    length, same = genres.streaks(np.array([2, 1, 6, 1]))
    assert length.tolist() == [0, 1, 2, 2], (
        "before the last film, the streak of Crime goes back to the second film, that of Action to none"
    )
    assert same.tolist() == [False, True, False, True]


def test_a_film_of_no_genre_breaks_a_streak() -> None:
    length, same = Genres.of(KNOWN).streaks(np.array([1, 5, 1, 2]))
    assert (length.tolist(), same.tolist()) == ([0, 1, 0, 1], [False, False, False, True])


def test_shared_genres_and_genre_names() -> None:
    genres = Genres.of(KNOWN)
    assert genres.shared(np.array([1, 1, 5]), np.array([6, 4, 5])).tolist() == [True, False, False]
    assert [genres.names_of(item) for item in (1, 5)] == ["Action, Crime", ""]
    with pytest.raises(DataError, match="has no table of its items, which would have the column 'genres'"):
        Genres.of(synthetic.cycle(3, 4))


# ---------------------------------------------------------------------------------------- gates


def model(name: str, preset: str, sizes: Sizes) -> Any:
    kind = find(name)
    torch.manual_seed(0)
    return kind(kind.configure({"embedding_dim": 6}, preset), sizes).double().eval()


def test_gates_are_those_that_the_models_record() -> None:
    log = synthetic.markov(10, 9, 12, seed=1, shortest=5)
    split = Protocol.named("whole-users").split(log)
    hcrnn, narm = (model(name, preset, Sizes(log.num_users, log.num_items)) for name, preset in PRESETS)
    sequences = read_gates(split, hcrnn, narm)
    assert [sequence.user for sequence in sequences] == [
        user for user in range(1, 11) if split.test[user] < log.stop[user]
    ]
    for sequence in sequences:
        assert sequence.items.tolist() == log.history(sequence.user).tolist()
        recorded = hcrnn.recordings(torch.from_numpy(sequence.items))
        assert sequence.values[RESET_DRIFT] == pytest.approx((recorded["reset"] * recorded["drift"]).mean(1).numpy())
        assert sequence.values[RESET] == pytest.approx(recorded["reset"].mean(1).numpy())
        assert sequence.values[DRIFT] == pytest.approx(recorded["drift"].mean(1).numpy())
        for name, context in ((CHANGE, recorded["temporary"].numpy()), (LOCAL_CHANGE, recorded["local"].numpy())):
            steps = [np.abs(context[t] - context[t - 1]).mean() for t in range(1, len(context))]
            assert np.isnan(sequence.values[name][0])
            assert sequence.values[name][1:] == pytest.approx(steps)
        for name, shares in ((THETA, recorded["theta"]), (ALPHA, recorded["alpha"])):
            assert sequence.values[name] == pytest.approx([50 * max(step) for step in shares.tolist()])
        for name in (ATTENTION, LOCAL_ATTENTION, NARM_ATTENTION):
            assert sequence.values[name].shape == sequence.items.shape
            assert sequence.values[name].sum() == pytest.approx(1)
        assert sequence.values[NARM_RESET] == pytest.approx(resets(narm, sequence.items))


PRESETS = (("hcrnn-running", "author"), ("narm", "hcrnn"))


@torch.no_grad()
def resets(narm: Any, items: np.ndarray) -> list[float]:
    """The reset gate at each item, computed step by step from the items before it."""
    unit, gates = narm.gru, []
    for place, item in enumerate(items):
        before = torch.zeros(1, unit.output_dim, dtype=torch.float64)
        for earlier in items[:place]:
            before = unit.run_packed([1], narm.item_embedding[earlier][None], before)
        gates.append(float(unit.gates(narm.item_embedding[item][None], before)[0].mean()))
    return gates


# ------------------------------------------------------------------------------------------ the map


def space(items: list[list[float]], contexts: list[list[float]], listed: list[list[str]]) -> EmbeddingSpace:
    log = films(synthetic.cycle(3, len(items)), listed)
    rows = (np.array(rows) / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (items, contexts))
    return EmbeddingSpace(*rows, Genres.of(log))


def test_contexts_are_described_by_their_nearest_items() -> None:
    """Twenty war films along one axis, ten horror films along the other; all of them are dramas."""
    east = [[1.0, step / 100] for step in range(20)]
    north = [[step / 100, 1.0] for step in range(10)]
    listed = [["Drama", "War"]] * 20 + [["Drama", "Horror"]] * 10
    embeddings = space([*east, *north], [[0.1, 5.0], [2.0, 0.0], [1.0, 1.0]], listed)
    assert embeddings.nearest_items(embeddings.contexts[1:2], 3).tolist() == [[1, 2, 3]]
    first, second, third = embeddings.context_genres()
    assert (first.context, first.genre, first.share) == (1, "Horror", 1.0), "horror is rarer"
    assert (second.context, second.genre, second.share) == (2, "War", 1.0)
    assert (third.context, third.genre) == (3, "Drama"), "each pair has another context and another genre"
    log = films(synthetic.cycle(3, 30), listed)
    assert (
        embeddings.describe(second, log)
        == "M(2), War, 100% of its 10 nearest: Film 1 (1.00), Film 2 (1.00), Film 3 (1.00)"
    )


def test_genre_sharing_of_nearest_items_and_of_all_others() -> None:
    """Two groups of eleven: all ten nearest items of an item share its genre, and 10 of all 21 other items."""
    items = [[1.0, step / 100] for step in range(11)] + [[step / 100, 1.0] for step in range(11)]
    near, others = space(items, [[1.0, 1.0]], [["War"]] * 11 + [["Horror"]] * 11).genre_sharing()
    assert (near, others) == (1.0, pytest.approx(10 / 21))


def test_cosines_of_contexts_and_of_random_directions() -> None:
    """In the plane, random directions have a mean cosine of 0 to the only item; a parallel context has 1."""
    contexts, directions = space([[1.0, 0.0]], [[2.0, 0.0]] * 500, [["War"]]).nearest_cosines()
    assert contexts == pytest.approx(1)
    assert directions == pytest.approx(0, abs=0.1), "the mean cosine over a circle"


def test_the_map_shows_genres_and_contexts() -> None:
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    listed = [["Drama"]] * 5 + [["Musical", "War"]] * 5 + [["War"]] * 5
    embeddings = space(rng.normal(size=(15, 4)).tolist(), rng.normal(size=(3, 4)).tolist(), listed)
    picture = embeddings.picture("p", "T")
    assert [row["of"] for row in picture.rows] == ["Musical"] * 5 + ["War"] * 5 + ["global context"] * 3
    assert picture == embeddings.picture("p", "T"), "deterministic"


def test_the_error_without_scikit_learn_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name.startswith("sklearn"):
            raise ImportError(name, name="sklearn")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r't-SNE needs sklearn, which is not installed: pip install "segue\[viz\]"'):
        tsne()


# ------------------------------------------------------------------------------------- all figures


def small(seed: int) -> Log:
    """Sequences of 20 and of 32 items; a third of the users are test."""
    log = synthetic.markov(24, 16, 32, seed=seed)
    sequences = [log.history(user)[: 20 if user % 2 else 32].tolist() for user in range(1, 25)]
    parts = pl.DataFrame({"split": ["train", "train", "valid", "train", "test", "test"] * 4})
    kinds = [["Drama", "War"], ["War"], ["Horror"], ["Comedy", "Romance"]]
    return replace(
        films(synthetic.from_sequences(sequences), [kinds[item % 4] for item in range(16)]), user_metadata=parts
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Reproduction:
    pytest.importorskip("sklearn")
    shrunk = {name: (*which, {**rest, "embedding_dim": 6}) for name, (*which, rest) in hcrnn_figures.TRAINED.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "load_log", lambda name: small({"citeulike": 1, "hcrnn-movielens": 2}[name]))
        patch.setattr(hcrnn_figures, "TRAINED", shrunk)
        return hcrnn_figures.reproduce(runs=RunCache(tmp_path_factory.mktemp("runs")), quick=True)


def test_the_figures_as_the_paper_says_are_of_the_models_of_table_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {
        name: (one.model, one.patience, one.refit) for name, one in hcrnn_figures_paper.experiments(quick=False).items()
    } == {"HCRNN": ("hcrnn", 3, False), "NARM": ("narm", 5, False)}
    monkeypatch.setattr(catalog, "load_log", lambda name: {"citeulike": small(1)}[name])
    found = hcrnn_figures_paper.reproduce(runs=RunCache(tmp_path), quick=True)
    change = found.row(f"{CHANGE}, {AS_PRINTED}", "CiteULike")
    assert (change.published, change.mean > 0) == (0.278, True)
    (picture,) = found.pictures
    assert picture.name == "hcrnn-figure6-citeulike-paper"
    for name in (*hcrnn_figures.CHANNELS, hcrnn_figures.UNIFORM):
        newest = [row["attention"] for row in picture.rows if row["of"] == name and row["items from the end"] <= 5]
        shown = found.row(f"last 5 items: {name}, {AS_PRINTED}", "CiteULike").mean
        assert shown == pytest.approx(sum(newest))
    assert json.loads(json.dumps(found.as_dict()))["runs"]["CiteULike"]["HCRNN"]["model"] == "hcrnn"


def test_the_form_is_that_of_the_result_file(made: Reproduction) -> None:
    assert form_differences(made, "hcrnn-figures") == []


def test_all_figures_are_made(made: Reproduction) -> None:
    assert [picture.name.removeprefix("hcrnn-figure") for picture in made.pictures] == [
        "4",
        "5-hcrnn",
        "5-narm",
        "6-citeulike",
        "6-movielens",
        "7",
    ]
    assert made.notes[0].startswith("QUICK: ")
    assert re.search(r"MovieLens, on validation: HCRNN epoch 1 of 1, recall@20 \d\.\d{4}; NARM ", " ".join(made.notes))
    assert sum(note.startswith("Table 4: M(") for note in made.notes) == 3
    assert json.loads(json.dumps(made.as_dict()))["runs"]["MovieLens"]["HCRNN"]["model"] == "hcrnn-running"


def test_published_figures_are_shown_for_citeulike_only(made: Reproduction) -> None:
    assert (made.row(CHANGE, "CiteULike").published, made.row(f"± {CHANGE}", "CiteULike").published) == (0.278, 0.037)
    assert made.row(CHANGE, "MovieLens").published is None
    assert made.row(LOCAL_CHANGE, "CiteULike").published == 0.005


def test_attention_to_the_newest_items_agrees_with_the_picture(made: Reproduction) -> None:
    """The row is the sum of the newest five points; half of the sequences have 20 items, half have 32."""
    points = next(picture for picture in made.pictures if picture.name == "hcrnn-figure6-movielens").rows
    for name in (*hcrnn_figures.CHANNELS, hcrnn_figures.UNIFORM):
        newest = [row["attention"] for row in points if row["of"] == name and row["items from the end"] <= 5]
        assert made.row(f"last 5 items: {name}", "MovieLens").mean == pytest.approx(sum(newest))
    assert made.row(f"last 5 items: {hcrnn_figures.UNIFORM}", "MovieLens").mean == pytest.approx((5 / 20 + 5 / 32) / 2)


def test_gates_by_streak_agree_with_gates_by_genre(made: Reproduction) -> None:
    for gate, name in ((RESET_DRIFT, "hcrnn-figure5-hcrnn"), (NARM_RESET, "hcrnn-figure5-narm")):
        points = next(picture for picture in made.pictures if picture.name == name).rows
        for side in ("same genre", "another genre"):
            values = [row[gate] for row in points if row["of"] == side]
            assert min(values) <= made.row(f"{gate}, {side}", "MovieLens").mean <= max(values)
        assert all(row["low"] <= row[gate] <= row["high"] for row in points)


def test_the_case_study_is_a_sequence_of_twenty_films(made: Reproduction) -> None:
    rows = made.pictures[-1].rows
    assert len(rows) == 20 * 8
    assert rows[0]["film"].startswith("1. Film ")
    attention = [row["value"] for row in rows if row["of"] == NARM_ATTENTION]
    assert sum(attention) == pytest.approx(1, abs=1e-5)


def test_the_pictures_can_be_drawn(made: Reproduction, tmp_path: Path) -> None:
    pytest.importorskip("altair")
    names = [path.name for path in made.write(tmp_path, "figures")]
    assert names == [*(f"{picture.name}.svg" for picture in made.pictures), "figures.html"]
