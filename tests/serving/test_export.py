"""What is exported gives the scores of the model."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch

from segue.batches.batch import Batch
from segue.data import synthetic
from segue.errors import ConfigError
from segue.evaluation.protocol import Protocol
from segue.experiments.experiment import Experiment
from segue.models.registry import MODELS
from segue.serving import export
from segue.serving.erase_users import erase_users
from segue.serving.export import export_model, has_vectors
from segue.serving.model_facts import fingerprint_of
from segue.serving.saved_model import load, save

LOG = synthetic.cycle(num_users=12, num_items=9, length=8)
TOPICS = pl.DataFrame({"topics": [["a", "b"] if item % 2 else ["a"] for item in range(LOG.num_items)]})
LOG = replace(LOG, rating=1.0 + np.arange(len(LOG), dtype=np.float32) % 5, item_metadata=TOPICS)
FEATURES = {"hievh": {"feature_column": "topics"}}
FEATURES = {"hievh": {"feature_column": "topics"}}
DOCUMENTED = Path(__file__).parents[2] / "docs" / "how-to" / "export-a-model.md"


def saved_model(name: str, folder: Path, **settings: object):
    kind = MODELS[name]
    small = {"epochs": 1} if kind.trained_by_gradient else {}
    protocol = Protocol.named("ratings" if kind.task == "rating" else "leave-one-out")
    experiment = Experiment(model=name, protocol=protocol, settings={**small, **FEATURES.get(name, {}), **settings})
    model, _ = experiment.fit_rows(LOG, 0)
    return load(save(model, LOG, folder / name))


def test_vectors_and_queries_give_the_scores_of_the_model(tmp_path):
    saved = saved_model("hgn", tmp_path, embedding_dim=8)
    done = export_model(saved, tmp_path / "out", onnx=False)
    assert done.why_not == "it was not asked for"
    vectors = np.load(tmp_path / "out" / "item_vectors.npy")
    table = pl.read_parquet(tmp_path / "out" / "items.parquet")
    assert table["item"].to_list() == LOG.items.tokens.to_list()
    assert np.array_equal(table["vector"].to_numpy(), vectors)
    about = json.loads((tmp_path / "out" / "export.json").read_text())
    assert (about["dim"], about["items"], about["query"]) == (vectors.shape[1], 9, None)
    batch = Batch(torch.tensor([1]), torch.from_numpy(LOG.history(1)[None, -about["window"] :].astype(np.int64)))
    with torch.inference_mode():
        query, scores = saved.model.query(batch)[0].numpy(), saved.model.score(batch)[0, 1:].numpy()
    assert vectors @ query == pytest.approx(scores, rel=1e-5)


def test_a_network_that_answers_nan_is_not_exported(tmp_path, monkeypatch):
    saved = saved_model("hgn", tmp_path, embedding_dim=8)
    answers = np.full((1, len(load(saved.folder).model.item_vectors()[0])), np.nan, np.float32)

    class Network:
        def __init__(self, *_: object, **__: object) -> None: ...

        def get_inputs(self) -> list[SimpleNamespace]:
            return [SimpleNamespace(name="history")]

        def run(self, *_: object) -> list[np.ndarray]:
            return [answers]

    monkeypatch.setattr(export, "check_onnx", lambda: None)
    monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace(InferenceSession=Network))
    program = SimpleNamespace(save=lambda path: Path(path).write_bytes(b"onnx"))
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: program)
    done = export_model(saved, tmp_path / "out")
    assert "differs from hgn by nan" in (done.why_not or "")
    assert not (tmp_path / "out" / "query.onnx").exists()


def test_an_export_names_the_model_as_a_service_does_also_after_an_erasure(tmp_path):
    saved = saved_model("hgn", tmp_path, embedding_dim=8)
    fingerprint = fingerprint_of(saved.about)
    erase_users(saved.folder, {str(LOG.users.tokens[0]): None})
    export_model(load(saved.folder), tmp_path / "out", onnx=False)
    assert json.loads((tmp_path / "out" / "export.json").read_text())["fingerprint"] == fingerprint
    users = pl.read_parquet(tmp_path / "out" / "users.parquet")["user"].to_list()
    assert users == [None, *LOG.users.tokens.to_list()[1:]]  # nothing is said of a person who was erased


@pytest.mark.slow
@pytest.mark.parametrize("features", [None, ("topics",)])
def test_the_network_gives_the_scores_of_the_model(tmp_path, features):
    onnxruntime = pytest.importorskip("onnxruntime")
    saved = saved_model("hgn", tmp_path, embedding_dim=8, features=features)
    assert export_model(saved, tmp_path / "out").why_not is None
    vectors, window = np.load(tmp_path / "out" / "item_vectors.npy"), saved.model.window
    session = onnxruntime.InferenceSession(str(tmp_path / "out" / "query.onnx"))
    for user in (0, 1, 5):
        items = LOG.history(user)[-window:] if user else np.array([3])
        history = np.zeros((1, window), np.int64)
        history[0, window - len(items) :] = items
        (query,) = session.run(None, {"user": np.array([user]), "history": history})
        with torch.inference_mode():
            expected = saved.model.score(Batch(torch.tensor([user]), torch.from_numpy(history)))[0, 1:]
        assert vectors @ query[0] == pytest.approx(expected.numpy(), rel=1e-4, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["sasrec", "gsasrec", "esasrec"])
@pytest.mark.parametrize("positions", ["absolute", "relative", "rotary", "none"])
def test_transformers_are_exported_with_each_form_of_positions(tmp_path, model, positions):
    pytest.importorskip("onnxruntime")
    chosen = {"embedding_dim": 8, "num_heads": 2, "window": 5, "positions": positions}
    exported = export_model(saved_model(model, tmp_path, **chosen), tmp_path / "out")
    assert exported.why_not is None  # the answers of the network were compared with the model's
    assert exported.error is not None


def test_a_model_without_vectors_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"item-knn: its scores are no dot products.*hgn"):
        export_model(saved_model("item-knn", tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_table_of_the_guide_says_what_can_be_exported(tmp_path):
    rows = []
    for name, kind in MODELS.items():
        if not has_vectors(kind):
            rows.append(f"| {name} | no | no |")
            continue
        window = {"window": 5} if getattr(kind.configure(), "window", 0) not in (0, 1) else {}
        folder, out = saved_model(name, tmp_path, **window).folder, tmp_path / "out" / name
        words = ["export", str(folder), "--out", str(out), "--length", "5"]  # in a process without checks of types
        subprocess.run([sys.executable, "-m", "segue", *words], check=True, capture_output=True)
        rows.append(f"| {name} | yes | {'yes' if (out / 'query.onnx').exists() else 'no'} |")
    table = DOCUMENTED.read_text().partition("| model | vectors | query.onnx |\n|---|---|---|\n")[2]
    assert table.splitlines() == rows, "\n".join(rows)
