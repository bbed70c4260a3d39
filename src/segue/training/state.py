"""What a training keeps on disk: a log of its epochs, and a state file from which an interrupted training continues.

    training.jsonl      one line for each epoch: its loss, its validation metric, the time it took
    state.safetensors   weights, the best weights so far, optimiser state, the records of the epochs, the run's identity

The state file is replaced atomically after an epoch. No random state is saved, because the random numbers of an epoch
depend on the seed and its number alone. So a resumed training ends with the same weights, to the bit, as one that was
never interrupted (law 12).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from segue import distributed
from segue.data.log import Log
from segue.errors import TrainingError
from segue.io import atomic_file, reason, short_hash, write_text
from segue.json_files import from_json
from segue.models.base.model import Model
from segue.nn.optim import Optimizer
from segue.temporary import delete_all_abandoned, locked_folder

LOG_FILE = "training.jsonl"
STATE_FILE = "state.safetensors"
SAVE_EVERY = 20  # if saving the state took t seconds, it is saved again after at least 20 t seconds


class StateNotWrittenError(TrainingError):
    """The folder of a training cannot be written: the disk is to blame, not the settings of the training."""


@dataclass(frozen=True)
class Epoch:
    """The record of one epoch: one pass over the training log.

    Attributes:
        epoch: its number, from 1.
        loss: loss of a target, averaged over each batch, then over the batches.
        metric: the validation metric after the epoch; None where it was not evaluated.
        seconds: wall time of the training steps, in seconds; validation is not counted.
        cpu_seconds: processor time of the same.
    """

    epoch: int
    loss: float
    metric: float | None
    seconds: float
    cpu_seconds: float


@dataclass
class Training:
    """The record of one training.

    Attributes:
        epochs: the records of its epochs.
        best: the number of the epoch whose weights the model has at the end; 0 for a model without epochs.
        seconds: wall time of the training steps, in seconds; validation is not counted.
        cpu_seconds: processor time of the same.
        peak_mb: peak memory of the process during the training, in MB; None where it is unknown.
        time_limit: the limit, in seconds, that ended the training; None if it ended without it.
        loops: which compiled loops computed it; see `segue.nn.compiled.loop.same_loops`.
    """

    epochs: list[Epoch] = field(default_factory=list)
    best: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: int | None = None
    time_limit: float | None = None
    loops: dict[str, bool] = field(default_factory=dict)

    @property
    def metric(self) -> float | None:
        """The best validation metric; None without validation."""
        return self.epochs[self.best - 1].metric if self.best else None


@dataclass(frozen=True)
class SavedTraining:
    """The text of a state file.

    Attributes:
        identity: see `run_identity`.
        training: the training so far.
    """

    identity: dict[str, Any]
    training: Training


def run_identity(model: Model, log: Log, *, seed: int, eval_every: int, patience: int) -> dict[str, Any]:
    """The values that have to be equal for a training to continue from a state file."""
    config = {key: list(v) if isinstance(v, tuple) else v for key, v in model.config.as_dict().items()}
    return {
        "model": model.name,
        "config": config,
        "log": log.fingerprint,
        "seed": seed,
        "eval_every": eval_every,
        "patience": patience,
    }


class TrainingState:
    """Weights, best weights and optimiser state of a training, in memory and, if there is a folder, on disk."""

    def __init__(self, model: Model, optimizer: Optimizer, folder: Path | None, identity: dict[str, Any]) -> None:
        self.model, self.optimizer, self.folder, self.identity = model, optimizer, folder, identity
        self.best_weights: dict[str, Tensor] | None = None
        self._saved_at, self._save_seconds = time.monotonic(), 0.0

    def keep_best(self) -> None:
        """Remember the present weights as the best ones."""
        if self.best_weights is None:
            self.best_weights = {key: value.clone() for key, value in self.model.state_dict().items()}
        else:
            for key, value in self.model.state_dict().items():
                self.best_weights[key].copy_(value)

    def record(self, training: Training, *, force: bool = False) -> None:
        """Append the last epoch to the log file, and save the state if that is due or forced.

        Raises:
            StateNotWrittenError: the folder cannot be written.
        """
        if self.folder is None or distributed.process_rank() > 0:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / LOG_FILE).open("w" if len(training.epochs) == 1 else "a") as file:
                file.write(_log_line(training.epochs[-1]))
            self._save_if_due(self.folder, training, force)
        except (OSError, SafetensorError) as error:
            raise _not_written(self.folder, error) from error

    def finish(self, *, keep_state: bool) -> None:
        """Give the model its best weights, and delete the state file unless `keep_state`."""
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)
        if self.folder is not None and not keep_state and distributed.process_rank() == 0:
            (self.folder / STATE_FILE).unlink(missing_ok=True)

    @property
    def name(self) -> str:
        """The file of the state, in messages."""
        return str(self.folder / STATE_FILE) if self.folder else "the state of the training"

    def resume(self) -> Training:
        """Restore the state that the folder holds; returns the training so far, which is empty without a state file.

        Raises:
            TrainingError: the state file is damaged, or belongs to a different run.
            StateNotWrittenError: the log file cannot be written.
        """
        if self.folder is None or not (self.folder / STATE_FILE).exists():
            return Training()
        tensors, saved = _read_state(self.folder / STATE_FILE)
        different = [key for key, value in self.identity.items() if saved.identity.get(key) != value]
        if different:
            raise TrainingError(
                f"{self.folder / STATE_FILE}: belongs to an interrupted run with another {' and '.join(different)}, "
                "or of an older version of segue; delete it to start afresh, or choose another folder"
            )
        try:
            self.model.load_state_dict(_with_prefix(tensors, "model."))
            self.best_weights = self._checked_best(_with_prefix(tensors, "best."))
            self.optimizer.load_state_dict(_with_prefix(tensors, "optimizer."))
        except (RuntimeError, KeyError, ValueError) as error:
            raise TrainingError(
                f"{self.folder / STATE_FILE}: cannot be read ({reason(error)}); delete it to start afresh"
            ) from error
        if distributed.process_rank() == 0:
            # the log file may hold epochs after the last saved state: they are trained again
            try:
                write_text(self.folder / LOG_FILE, "".join(map(_log_line, saved.training.epochs)))
            except OSError as error:
                raise _not_written(self.folder, error) from error
        return saved.training

    def _checked_best(self, tensors: dict[str, Tensor]) -> dict[str, Tensor] | None:
        """The best weights of a state file; None if it has none.

        Raises:
            ValueError: they are not those of the model.
        """
        if tensors and tensors.keys() != self.model.state_dict().keys():
            raise ValueError("its best weights are those of another model")
        return tensors or None

    def _save_if_due(self, folder: Path, training: Training, force: bool) -> None:
        now = time.monotonic()
        if force or now - self._saved_at >= SAVE_EVERY * self._save_seconds:
            self._save(folder / STATE_FILE, training)
            self._saved_at = time.monotonic()
            self._save_seconds = self._saved_at - now

    def _save(self, path: Path, training: Training) -> None:
        tensors = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        tensors |= {f"best.{key}": value for key, value in (self.best_weights or {}).items()}
        tensors |= {f"optimizer.{key}": value for key, value in self.optimizer.state_dict().items()}
        tensors = {key: value.contiguous().cpu() for key, value in tensors.items()}
        text = json.dumps({"identity": self.identity, "training": asdict(training)})
        with atomic_file(path) as temporary:
            save_file(tensors, temporary, metadata={"segue": text, "hash": _state_hash(text, tensors)})


_KEPT: ContextVar[frozenset[Path]] = ContextVar("kept", default=frozenset())


@contextmanager
def kept(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder from the first training in it until the model is saved.

    The trainings of this process in the folder share the lock; see `in_use`.
    """
    with in_use(folder):
        token = _KEPT.set(_KEPT.get() | {folder})
        try:
            yield
        finally:
            _KEPT.reset(token)


@contextmanager
def in_use(folder: Path | None) -> Iterator[None]:
    """Keep other processes from training in a folder; one without files is deleted at the end. None: no folder.

    Raises:
        TrainingError: another process trains in it.
        StateNotWrittenError: it cannot be made.
    """
    if folder is None or folder in _KEPT.get() or distributed.process_rank() > 0:
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_written(folder, error) from error
    with locked_folder(folder) as is_free:
        if not is_free:
            raise TrainingError(f"{folder}: another process is training there; wait until it ends")
        try:
            yield
        finally:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def _not_written(folder: Path, error: Exception) -> StateNotWrittenError:
    return StateNotWrittenError(f"{folder}: the state of the training cannot be written ({reason(error)})")


def delete_training_files(folder: Path) -> None:
    """Delete what `fit` left in `folder` and in its subfolders, and each folder that is then empty."""
    if not folder.is_dir():
        return
    for subfolder in [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]:
        delete_training_files(subfolder)
    for name in (LOG_FILE, STATE_FILE):
        (folder / name).unlink(missing_ok=True)
    delete_all_abandoned(folder)
    if not any(folder.iterdir()):
        folder.rmdir()


def read_epochs(path: Path) -> list[Epoch]:
    """The records in a log file of a training.

    Raises:
        TrainingError: a line is damaged.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [from_json(line, Epoch) for line in lines]
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"{path}: cannot be read ({reason(error)}); delete {path.parent} to start afresh"
        ) from error


def _read_state(path: Path) -> tuple[dict[str, Tensor], SavedTraining]:
    """The tensors of a state file, and the identity and training of its run."""
    try:
        with safe_open(path, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            text, expected = (file.metadata()[key] for key in ("segue", "hash"))
        if _state_hash(text, tensors) != expected:
            raise ValueError("its hash is not the one written into it")
        saved = from_json(text, SavedTraining)
        if saved.training.best > len(saved.training.epochs):
            raise ValueError("its best epoch is not one of its epochs")
        return tensors, saved
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:  # metadata may lack a key, or be None
        raise TrainingError(f"{path}: cannot be read ({reason(error)}); delete it to start afresh") from error


def _log_line(epoch: Epoch) -> str:
    return json.dumps(asdict(epoch)) + "\n"


def _state_hash(text: str, tensors: dict[str, Tensor]) -> str:
    def parts() -> Iterator[Any]:
        yield text.encode()
        for key in sorted(tensors):
            yield key.encode()
            yield tensors[key].flatten().view(torch.uint8).numpy()

    return short_hash(parts())


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
