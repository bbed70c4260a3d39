"""`fit`: the training loop, to be read from top to bottom.

Every epoch draws its randomness from (seed, epoch) alone, so a run that was interrupted between two epochs and taken
up again ends where the uninterrupted run ends, to the bit (law 12): what has to be kept is the weights and the
optimiser's state, in one file that is replaced whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from segue import distributed
from segue.batches.batch import Batch
from segue.data.log import Log
from segue.errors import ConfigError, TrainingError
from segue.models.base.model import DirectModel, GradientModel, Model
from segue.nn.matmul import quick_products
from segue.nn.optim import Optimizer
from segue.reporting.console import Bar, progress

Validate = Callable[[Model], float]
RARELY = 20  # the state is saved when that costs no more than 1/20 of the time since the last


class StopTraining(Exception):
    """What `validate` raises with its figure when training is to stop here; the same call may take it up later."""

    def __init__(self, figure: float) -> None:
        super().__init__(figure)
        self.figure = figure


@dataclass(frozen=True)
class Epoch:
    """What one pass over the log came to.

    Attributes:
        epoch: from 1.
        loss: of a target, averaged over each batch, then over batches.
        metric: the validation metric afterwards, where it was measured.
        seconds: wall time of training, validation not counted.
        cpu_seconds: processor time of the same.
    """

    epoch: int
    loss: float
    metric: float | None
    seconds: float
    cpu_seconds: float


@dataclass
class Training:
    """The course of one training.

    Attributes:
        epochs: one record an epoch.
        best: the epoch whose weights the model holds now.
        seconds: wall time of training, validation not counted.
        cpu_seconds: processor time of the same.
    """

    epochs: list[Epoch] = field(default_factory=list)
    best: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def metric(self) -> float | None:
        """The best validation metric, where there was validation."""
        return self.epochs[self.best - 1].metric if self.best else None


def fit(
    model: Model,
    log: Log,
    *,
    seed: int = 0,
    validate: Validate | None = None,
    every: int = 1,
    patience: int = 10,
    folder: Path | None = None,
    keep: bool = False,
) -> Training:
    """Teach `model` what `log` holds.

    Args:
        model: by gradient for at most its config's `epochs`, or by counting.
        log: nothing outside this view is read.
        seed: of the order of examples, of negatives and of dropout (the initial weights are the model's own).
        validate: a figure to be maximised, asked for every `every` epochs. Training stops after `patience` figures
            without a better one, and the model ends with the weights of the best. Without it all epochs are run.
            It may raise `StopTraining`, to stop here.
        every: epochs between two validations.
        patience: validations without progress before stopping.
        folder: where `training.jsonl` (one line an epoch) and the state for taking up an interrupted run are kept;
            a finished run leaves the former only.
        keep: leave the state of the finished run there too, until its model is safely saved.

    Raises:
        TrainingError: the loss is not finite, or `folder` holds the state of a different run.
    """
    if every < 1 or patience < 1:
        raise ConfigError(f"every={every} and patience={patience} must be at least 1")
    if isinstance(model, DirectModel):
        with _stopwatch() as watch:
            model.fit(log)
        return Training(seconds=watch.seconds, cpu_seconds=watch.cpu_seconds)
    if not isinstance(model, GradientModel):
        raise ConfigError(f"{type(model).__name__} is neither Counted nor Trained: it cannot be fitted")
    optimizer = model.optimizer()
    run = _Run(model, optimizer, _identity(model, log, seed, every, patience) if folder else {}, folder)
    training = run.resume()
    # glibc hands freed blocks back to the kernel, to be fetched anew by every batch, until one of this size was freed
    torch.empty(31 << 18)
    with progress(f"training {model.name}", total=model.config.epochs, unit="epochs") as bar:
        bar.advance(len(training.epochs))
        while not _finished(training, model.config.epochs, every, patience):
            number = len(training.epochs) + 1
            with _stopwatch() as watch:
                loss = _epoch(model, optimizer, log, (seed, number))
            training.seconds += watch.seconds
            training.cpu_seconds += watch.cpu_seconds
            asked = validate is not None and (number % every == 0 or number == model.config.epochs)
            metric, enough = _ask(validate if asked else None, model)
            training.epochs.append(Epoch(number, loss, metric, watch.seconds, watch.cpu_seconds))
            if metric is None:
                training.best = training.best if validate else number
            elif training.best == 0 or metric > (training.metric or 0.0):
                training.best = number
                run.keep_best()
            run.record(training, surely=enough)
            _tell(bar, training)
            if enough:
                break
    run.finish(keep=keep)
    return training


def _ask(validate: Validate | None, model: Model) -> tuple[float | None, bool]:
    """The figure of an epoch, and whether it is to be the last of this call."""
    try:
        return (validate(model) if validate else None), False
    except StopTraining as last:
        return last.figure, True


def _epoch(model: GradientModel, optimizer: Optimizer, log: Log, seeds: tuple[int, int]) -> float:
    """One pass; returns the mean over batches of the mean loss of a target."""
    model.train()
    device = next(model.parameters()).device
    # one buffer: a list of tensors would lie scattered between the large ones, whose space could not be used again
    losses, count = torch.zeros(64, device=device), 0
    products = quick_products() if model.few_shapes else nullcontext()
    with torch.random.fork_rng(devices=[]), products:
        torch.manual_seed(int(np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0] >> 1))
        for batch in model.batches(log, np.random.default_rng(seeds)):
            optimizer.zero_grad()
            if count == len(losses):
                losses = torch.cat([losses, torch.zeros_like(losses)])
            losses[count] = _gradients(model, batch, device)
            count += 1
            distributed.sum_gradients(model.parameters())
            optimizer.step()
    if count == 0:
        raise TrainingError(f"{log.name} has nothing to train {model.name} on: no user has two events or more")
    values = distributed.total(losses[:count])
    if not values.isfinite().all():
        first = int((~values.isfinite()).nonzero()[0]) + 1
        raise TrainingError(
            f"{model.name}: the loss is not finite from batch {first} of epoch {seeds[1]} on; "
            f"try a smaller lr (now {model.config.lr:g})"
        )
    return float(values.double().mean())


def _gradients(model: GradientModel, batch: Batch, device: torch.device) -> Tensor:
    """Add up the gradients of this process's share of a batch, slice by slice; returns the mean loss of a target."""
    targets = (batch.targets > 0).sum().to(device)
    total = torch.zeros((), device=device)
    for part in batch.share(distributed.rank(), distributed.world()).to(device).slices(model.rows_at_once):
        loss = model(part)
        (loss / targets if model.config.reduction == "mean" else loss).backward()
        total += loss.detach()
        del loss  # and with it what its gradient needed, before the next slice asks for as much
    return total / targets


def _finished(training: Training, epochs: int, every: int, patience: int) -> bool:
    done = len(training.epochs)
    measured = any(e.metric is not None for e in training.epochs)
    return done >= epochs or (measured and done - training.best >= every * patience)


def _tell(bar: Bar, training: Training) -> None:
    text = f"loss {training.epochs[-1].loss:.4g}"
    measured = [epoch for epoch in training.epochs if epoch.metric is not None]
    if measured:
        text += f", validation {measured[-1].metric:.4f}, best {training.metric:.4f} in {training.best}"
    bar.note(text)
    bar.advance()


@dataclass
class _Watch:
    seconds: float = 0.0
    cpu_seconds: float = 0.0


@contextmanager
def _stopwatch() -> Iterator[_Watch]:
    watch = _Watch()
    wall, cpu = time.perf_counter(), time.process_time()
    yield watch
    watch.seconds, watch.cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu


def _identity(model: Model, log: Log, seed: int, every: int, patience: int) -> dict[str, Any]:
    """What must be equal for an interrupted run to be taken up."""
    config = {key: list(v) if isinstance(v, tuple) else v for key, v in model.config.as_dict().items()}
    return {
        "model": model.name,
        "config": config,
        "log": log.fingerprint,
        "seed": seed,
        "every": every,
        "patience": patience,
    }


class _Run:
    """The state of a run, in memory and, where there is a folder, on disk."""

    def __init__(self, model: Model, optimizer: Optimizer, identity: dict[str, Any], folder: Path | None) -> None:
        self.model, self.optimizer, self.identity, self.folder = model, optimizer, identity, folder
        self.best: dict[str, Tensor] | None = None
        self._saved, self._cost = time.monotonic(), 0.0

    def keep_best(self) -> None:
        if self.best is None:
            self.best = {key: value.clone() for key, value in self.model.state_dict().items()}
        else:
            for key, value in self.model.state_dict().items():
                self.best[key].copy_(value)

    def record(self, training: Training, *, surely: bool = False) -> None:
        """Log the epoch; save the state surely, or when enough time has passed since the last."""
        if self.folder is None or distributed.rank() > 0:
            return
        try:
            self._write(self.folder, training, surely)
        except (OSError, SafetensorError) as error:
            raise TrainingError(f"{self.folder}: the state of the training cannot be written ({error})") from error

    def _write(self, folder: Path, training: Training, surely: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "training.jsonl").open("w" if len(training.epochs) == 1 else "a") as file:
            file.write(json.dumps(asdict(training.epochs[-1])) + "\n")
        begin = time.monotonic()
        if surely or begin - self._saved >= RARELY * self._cost:
            self._save(training)
            self._saved = time.monotonic()
            self._cost = self._saved - begin

    def finish(self, *, keep: bool) -> None:
        if self.best is not None:
            self.model.load_state_dict(self.best)
        if self.folder is not None and not keep and distributed.rank() == 0:
            self._path.unlink(missing_ok=True)

    @property
    def _path(self) -> Path:
        assert self.folder is not None
        return self.folder / "state.safetensors"

    def _save(self, training: Training) -> None:
        tensors = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        tensors |= {f"best.{key}": value for key, value in (self.best or {}).items()}
        tensors |= {f"optimizer.{key}": value for key, value in self.optimizer.state().items()}
        tensors = {key: value.contiguous().cpu() for key, value in tensors.items()}
        note = json.dumps({"identity": self.identity, "training": asdict(training)})
        temporary = self._path.with_suffix(".tmp")
        try:
            save_file(tensors, temporary, metadata={"segue": note, "hash": _hash(note, tensors)})
            os.replace(temporary, self._path)
        finally:
            temporary.unlink(missing_ok=True)

    def resume(self) -> Training:
        """The training so far: empty unless the folder holds the state of this very run."""
        if self.folder is None or not self._path.exists():
            return Training()
        try:
            with safe_open(self._path, "pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                text, expected = (file.metadata()[key] for key in ("segue", "hash"))
            if _hash(text, tensors) != expected:
                raise ValueError("its hash is not the one written into it")
            note = json.loads(text)
        except Exception as error:  # whatever a damaged file makes of the reader
            raise TrainingError(f"{self._path}: cannot be read ({error}); delete it to start afresh") from error
        if note["identity"] != self.identity:
            odd = [key for key, value in self.identity.items() if note["identity"].get(key) != value]
            raise TrainingError(
                f"{self._path}: belongs to an interrupted run with another {' and '.join(odd)}; "
                "delete it to start afresh, or choose another folder"
            )
        self.model.load_state_dict(_part(tensors, "model."))
        self.best = _part(tensors, "best.") or None
        self.optimizer.load_state(_part(tensors, "optimizer."))
        past = note["training"]
        training = Training(**{**past, "epochs": [Epoch(**epoch) for epoch in past["epochs"]]})
        lines = [json.dumps(asdict(epoch)) + "\n" for epoch in training.epochs]
        if distributed.rank() == 0:
            (self.folder / "training.jsonl").write_text("".join(lines))
        return training


def _hash(note: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.blake2b(note.encode(), digest_size=8)
    for key in sorted(tensors):
        digest.update(key.encode())
        digest.update(tensors[key].flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
