"""`export_model`: the vectors of a model for other systems: item vectors as files, and the query network as ONNX.

items.parquet        item, title (if the log has titles), vector; row i - 1 is the item with the id i
item_vectors.npy     the same vectors, (I, d), float32
users.parquet        user; row u - 1 is the user with the id u, null if erased
query.onnx           (user, history) -> query, (1, d): one question at a time; history is padded with 0 on the left
export.json          what this is: model, fingerprint, window, inputs

The score of an item is the dot product of its vector and the query.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from segue.batches.batch import Batch
from segue.data.log import Log
from segue.errors import ArtefactError, ConfigError
from segue.folders import atomic_folder, check_folder
from segue.io import reason, write_json
from segue.models.base.model import DotProductModel, Model
from segue.models.base.score_buffer import evaluation_mode
from segue.models.registry import MODELS
from segue.serving.erased_names import is_erased
from segue.serving.model_facts import fingerprint_of
from segue.serving.saved_model import SavedModel

LENGTH = 50  # of the histories of a model that reads whole ones
CHECKED = 32  # histories of which the answers of the exported network are compared
TOLERANCE = 1e-4


class QueryNetwork(nn.Module):
    """The query vectors of a model, from tensors alone. A model that reads no history takes the user alone."""

    def __init__(self, model: DotProductModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, user: Tensor, history: Tensor | None = None) -> Tensor:
        """(1, d) the query vector of (1,) user and (1, L) history."""
        return self.model.query(Batch(user, user.new_zeros(len(user), 0) if history is None else history))


@dataclass(frozen=True)
class Exported:
    """What was exported.

    Attributes:
        items: number of items.
        dim: size of the vectors.
        length: number of newest items of a history that the network takes.
        error: the largest difference between a query vector of the exported network and the model's; None without one.
        why_not: why there is no network; None if there is one.
    """

    items: int
    dim: int
    length: int
    error: float | None
    why_not: str | None


def export_model(saved: SavedModel, folder: Path, *, onnx: bool = True, length: int = LENGTH) -> Exported:
    """Write the vectors of a saved model, and its query network if that can be exported, to a folder.

    Args:
        saved: the saved model.
        folder: the target, which is replaced if it holds an earlier export.
        onnx: whether the network is exported, too; it needs the extra `export`.
        length: number of newest items of a history that the network takes, for a model that reads whole histories.

    Raises:
        ArtefactError: the folder cannot be written, or holds something else.
        ConfigError: the model has no item vectors, or the extra is missing.
    """
    model, log = as_dot_product(saved.model), saved.log
    check_folder(folder, "export")
    length = model.window if model.window is not None else length
    with evaluation_mode(model), torch.inference_mode():
        vectors = model.item_vectors()[1:].float().cpu().numpy()
    try:
        with atomic_folder(folder) as temporary:
            _write_items(log, vectors, temporary)
            names = log.users.tokens.set(pl.Series(is_erased(log.users.tokens)), None)
            pl.DataFrame({"user": names}).write_parquet(temporary / "users.parquet")
            error, why_not = _write_network(model, log, length, temporary) if onnx else (None, "it was not asked for")
            exported = Exported(len(vectors), vectors.shape[1], length, error, why_not)
            write_json(temporary / "export.json", _facts(saved, model, exported))
    except OSError as failure:
        raise ArtefactError(f"{folder}: cannot be written ({reason(failure)}); nothing was changed") from failure
    return exported


def as_dot_product(model: Model) -> DotProductModel:
    """The model, if its scores are dot products of a query and item vectors.

    Raises:
        ConfigError: they are not; the message names the models that can be exported.
    """
    if isinstance(model, DotProductModel) and type(model).score is DotProductModel.score:
        return model
    able = [name for name, kind in MODELS.items() if has_vectors(kind)]
    raise ConfigError(
        f"{model.name}: its scores are no dot products of a query and item vectors, so it has no vectors to export; "
        f"models that have: {', '.join(able)}"
    )


def check_onnx() -> None:
    """Raise `ConfigError` if the packages that export a network are not installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f'ONNX needs the extra export: pip install "segue[export]" ({error}); --no-onnx writes the vectors alone'
        ) from error


def has_vectors(kind: type[Model]) -> bool:
    """Whether the scores of the models of a class are dot products."""
    return issubclass(kind, DotProductModel) and kind.score is DotProductModel.score


def _write_items(log: Log, vectors: np.ndarray, folder: Path) -> None:
    np.save(folder / "item_vectors.npy", vectors)
    columns: dict[str, Any] = {"item": log.items.tokens}
    if log.item_metadata is not None and "title" in log.item_metadata.columns:
        columns["title"] = log.item_metadata["title"]
    columns["vector"] = pl.Series(vectors, dtype=pl.Array(pl.Float32, vectors.shape[1]))
    pl.DataFrame(columns).write_parquet(folder / "items.parquet")


def _write_network(model: DotProductModel, log: Log, length: int, folder: Path) -> tuple[float | None, str | None]:
    """Export the network, and compare its answers: the largest difference, or why there is no network."""
    reads = {
        "the types of events": model.reads_event_types,
        "the features of events": model.reads_event_features,
        "sessions": model.session_rule is not None,
        "times": model.reads_times or model.reads_request_time,
    }
    for what, is_read in reads.items():
        if is_read:
            return None, f"{model.name} reads {what}, and an exported network takes items alone"
    check_onnx()
    import onnxruntime

    path = folder / "query.onnx"
    names = ["user"] if length == 0 else ["user", "history"]
    example = (torch.ones(1, dtype=torch.long), torch.ones(1, length, dtype=torch.long))[: len(names)]
    with evaluation_mode(model), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program = torch.onnx.export(
                QueryNetwork(model), example, dynamo=True, input_names=names, output_names=["query"], verbose=False
            )
        except Exception as error:
            return None, f"{model.name} cannot be exported ({type(error).__name__})"
        assert program is not None
        program.save(str(path))
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        difference = _largest_difference(model, log, length, lambda given: session.run(None, given)[0], session)
    if not difference <= TOLERANCE:  # NaN is no answer, either
        path.unlink()
        return None, f"the exported network differs from {model.name} by {difference:.2g}"
    return difference, None


def _largest_difference(
    model: DotProductModel, log: Log, length: int, run: Callable[[dict[str, np.ndarray]], np.ndarray], session: Any
) -> float:
    """The largest difference between query vectors of an exported network and of the model, for users of the log.

    It is NaN if there is one.
    """
    wanted = {one.name for one in session.get_inputs()}
    users = np.unique(np.linspace(1, log.num_users, CHECKED).astype(np.int64))
    differences = []
    for user in (0, *users.tolist()):
        items = log.history(user)[-length:] if user and length else np.zeros(0, np.int64)
        history = np.zeros((1, length), np.int64)
        history[0, length - len(items) :] = items
        given = {"user": np.array([user]), "history": history}
        found = run({name: value for name, value in given.items() if name in wanted})
        batch = Batch(torch.tensor([user]), torch.from_numpy(history))
        differences.append(float((torch.from_numpy(found) - model.query(batch)).abs().max()))
    return float(np.max(differences))


def _facts(saved: SavedModel, model: DotProductModel, exported: Exported) -> dict[str, Any]:
    return {
        "model": model.name,
        "fingerprint": fingerprint_of(saved.about),
        "log": saved.about.get("log"),
        "items": exported.items,
        "dim": exported.dim,
        "bias_columns": model.num_item_biases,
        "window": exported.length,
        "exclude_seen": model.exclude_seen,
        "query": None if exported.why_not else "query.onnx",
        "largest_difference": exported.error,
        "why_no_query": exported.why_not,
    }
