"""The log of a training, its state file, and interrupted trainings that are resumed."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from training_runs import LOG, ScriptedValidation, Weights, assert_same_weights, build, copy_weights

from segue.data.splits import leave_last_out
from segue.errors import ConfigError, TrainingError
from segue.models.base.model import Model
from segue.models.factorization.bprmf import BPRMF
from segue.models.sequential.hgn import HGN
from segue.nn.compiled.loop import CompiledLoop
from segue.nn.compiled.loops import gated_queries, pairwise_sgd
from segue.training import state
from segue.training.loop import StopTraining, fit
from segue.training.state import StateNotWrittenError, Training, delete_training_files

# ---------------------------------------------------------------------------------------- the log of a training


def read_log_file(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "training.jsonl").read_text().splitlines()]


def test_log_file_has_one_line_per_epoch(tmp_path: Path) -> None:
    training = fit(
        build(), LOG, validate=ScriptedValidation(*([0.5] * 8)), eval_every=2, patience=9, folder=tmp_path / "new"
    )
    records = read_log_file(tmp_path / "new")
    assert [line["epoch"] for line in records] == list(range(1, 9))
    assert [line["metric"] for line in records] == [None, 0.5] * 4
    assert [line["loss"] for line in records] == [epoch.loss for epoch in training.epochs]
    assert all(line["seconds"] >= 0 and line["cpu_seconds"] >= 0 for line in records)
    assert training.seconds == pytest.approx(sum(line["seconds"] for line in records))
    fit(build(epochs=2), LOG, folder=tmp_path / "new")
    assert [line["epoch"] for line in read_log_file(tmp_path / "new")] == [1, 2], "a new run begins a new log"


# ---------------------------------------------------------------------------------------- interrupted runs


@pytest.fixture
def save_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that stands still: saving takes no time, so the state is saved after every epoch."""
    clock = SimpleNamespace(monotonic=lambda: 0.0, perf_counter=time.perf_counter, process_time=time.process_time)
    monkeypatch.setattr(state, "time", clock)


METRICS = (0.1, 0.4, 0.3, 0.2, 0.3, 0.1, 0.2, 0.1)


def train_until_interrupted(
    folder: Path, call: int, kind: Any = BPRMF, settings: dict[str, Any] | None = None, **options: Any
) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(
            build(kind, **(settings or {})),
            LOG,
            validate=ScriptedValidation(*METRICS, interrupt=call),
            folder=folder,
            patience=9,
            **options,
        )
    assert (folder / "state.safetensors").is_file()


def epoch_records(training: Training) -> list[tuple[int, float, float | None]]:
    return [(epoch.epoch, epoch.loss, epoch.metric) for epoch in training.epochs]


@pytest.mark.usefixtures("save_every_epoch")
@pytest.mark.parametrize("kind", [HGN, BPRMF])
@pytest.mark.parametrize(("eval_every", "call"), [(1, 2), (1, 5), (1, 8), (2, 2), (2, 4), (3, 2), (3, 3)])
def test_resumed_training_equals_uninterrupted_training_to_the_bit(
    tmp_path: Path, kind: Any, eval_every: int, call: int
) -> None:
    whole = build(kind)
    expected = fit(whole, LOG, validate=ScriptedValidation(*METRICS), eval_every=eval_every, patience=9)
    train_until_interrupted(tmp_path, call, kind, eval_every=eval_every)
    # the epoch of the interrupted validation is lost
    done = call * eval_every - 1 if call * eval_every <= 8 else 7
    assert len(read_log_file(tmp_path)) == done
    model = build(kind, seed=9)  # its initial weights are replaced
    rest = ScriptedValidation(*METRICS[call - 1 :])
    training = fit(model, LOG, validate=rest, eval_every=eval_every, patience=9, folder=tmp_path)
    assert epoch_records(training) == epoch_records(expected)
    assert training.best == expected.best
    assert_same_weights(copy_weights(model), copy_weights(whole))
    assert len(read_log_file(tmp_path)) == 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["training.jsonl"]


@pytest.mark.usefixtures("save_every_epoch")
def test_a_full_disk_at_the_start_of_a_resumed_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    train_until_interrupted(tmp_path, 2)
    monkeypatch.setattr(state, "write_text", full)
    with pytest.raises(StateNotWrittenError, match=r"training cannot be written \(No space left on device\)"):
        fit(build(), LOG, validate=ScriptedValidation(*METRICS), patience=9, folder=tmp_path)


@pytest.mark.usefixtures("save_every_epoch")
def test_repeated_interruptions(tmp_path: Path) -> None:
    whole = build()
    fit(whole, LOG, validate=ScriptedValidation(*METRICS), patience=9)
    calls = iter(METRICS)
    for _ in range(20):
        model = build()
        try:
            fit(model, LOG, validate=ScriptedValidation(next(calls), interrupt=2), patience=9, folder=tmp_path)
            break
        except KeyboardInterrupt:
            continue
    assert_same_weights(copy_weights(model), copy_weights(whole))
    assert [line["metric"] for line in read_log_file(tmp_path)] == list(METRICS)


@pytest.mark.parametrize("stop", [1, 3, 8])
def test_stop_training_stops_and_the_same_call_resumes(tmp_path: Path, stop: int) -> None:
    whole = build()
    expected = fit(whole, LOG, validate=ScriptedValidation(*METRICS), patience=9)
    metrics = iter(METRICS[:stop])

    def validate(model: Model) -> float:
        metric = next(metrics)
        if metrics.__length_hint__() == 0:
            raise StopTraining(metric)
        return metric

    part = build()
    training = fit(part, LOG, validate=validate, patience=9, folder=tmp_path, keep_state=True)
    assert epoch_records(training) == epoch_records(expected)[:stop]
    assert training.metric == max(METRICS[:stop])
    model = build(seed=9)
    training = fit(model, LOG, validate=ScriptedValidation(*METRICS[stop:]), patience=9, folder=tmp_path)
    assert epoch_records(training) == epoch_records(expected)
    assert_same_weights(copy_weights(model), copy_weights(whole))


def test_log_lines_after_the_saved_state_are_rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state is saved after the first epoch only, so the lines of later epochs are written again."""
    slow = iter([0.0, 0.0, 1000.0, *([1001.0] * 50)])  # the first saving took 1,000 seconds
    clock = SimpleNamespace(
        monotonic=lambda: next(slow), perf_counter=time.perf_counter, process_time=time.process_time
    )
    monkeypatch.setattr(state, "time", clock)
    train_until_interrupted(tmp_path, 5)
    assert len(read_log_file(tmp_path)) == 4
    monkeypatch.undo()
    script = ScriptedValidation(*METRICS[1:])
    model, whole = build(), build()
    fit(model, LOG, validate=script, patience=9, folder=tmp_path)
    fit(whole, LOG, validate=ScriptedValidation(*METRICS), patience=9)
    assert len(script.weights) == 7
    assert_same_weights(copy_weights(model), copy_weights(whole))
    assert [line["epoch"] for line in read_log_file(tmp_path)] == list(range(1, 9))


@pytest.mark.usefixtures("save_every_epoch")
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"lr": 0.02}, "config"),
        ({"seed": 1}, "seed"),
        ({"eval_every": 2}, "eval_every"),
        ({"patience": 3}, "patience"),
        ({"log": leave_last_out(LOG).train}, "log"),
        ({"kind": HGN}, "model and config"),
    ],
)
def test_state_of_a_different_run_raises(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    train_until_interrupted(tmp_path, 3)
    before = (tmp_path / "state.safetensors").read_bytes()
    settings = {key: change[key] for key in ("kind", "lr") if key in change}
    options = {key: change[key] for key in ("seed", "eval_every", "patience") if key in change}
    model = build(**settings)
    with pytest.raises(
        TrainingError,
        match=rf"state\.safetensors: belongs to .* another {named}, or of an older version of segue; delete it",
    ):
        fit(
            model,
            change.get("log", LOG),
            validate=ScriptedValidation(*METRICS),
            folder=tmp_path,
            **{"patience": 9, **options},
        )
    assert (tmp_path / "state.safetensors").read_bytes() == before
    assert_same_weights(copy_weights(model), copy_weights(build(**settings)))


@pytest.mark.usefixtures("save_every_epoch")
@pytest.mark.parametrize(
    ("loop", "kind", "settings"), [(gated_queries, HGN, {}), (pairwise_sgd, BPRMF, {"optimizer": "sgd"})]
)
@pytest.mark.parametrize("is_compiled", [True, False])
def test_a_training_is_not_resumed_by_another_kind_of_loop(
    tmp_path: Path, loop: CompiledLoop, kind: Any, settings: dict[str, Any], is_compiled: bool
) -> None:
    """The results would be those of neither kind."""
    pytest.importorskip("numba")
    words = "began without .* would go on with it, .*: uninstall it"
    if is_compiled:
        words = "began with .* would go on without it, .*: install it again, or mend .*"
    with loop.always():
        with nullcontext() if is_compiled else loop.never():
            train_until_interrupted(tmp_path, 4, kind, settings)
        before = (tmp_path / "state.safetensors").read_bytes()
        refused = pytest.raises(ConfigError, match=rf"{words}, or delete .*state\.safetensors to start anew")
        with loop.never() if is_compiled else nullcontext(), refused:
            fit(build(kind, **settings), LOG, validate=ScriptedValidation(*METRICS), patience=9, folder=tmp_path)
        assert (tmp_path / "state.safetensors").read_bytes() == before


@pytest.mark.usefixtures("save_every_epoch")
def test_damaged_state_raises(tmp_path: Path) -> None:
    train_until_interrupted(tmp_path, 4)
    path = tmp_path / "state.safetensors"
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    header = int.from_bytes(content[:8], "little")
    places = [*range(8), *rng.integers(8, 8 + header, 60), *rng.integers(8 + header, len(content), 20)]
    for damaged in (content[:-1], content[: len(content) // 2], b"", b"{}", *(flip_bit(content, at) for at in places)):
        path.write_bytes(damaged)
        with pytest.raises(TrainingError, match=r"state\.safetensors: (cannot be read|belongs to)"):
            fit(build(), LOG, validate=ScriptedValidation(*METRICS), folder=tmp_path, patience=9)
    path.write_bytes(content)
    fit(build(), LOG, validate=ScriptedValidation(*METRICS[3:]), folder=tmp_path, patience=9)


Forge = Callable[[dict[str, torch.Tensor], dict[str, Any]], object]
FORGED: dict[str, Forge] = {
    "no training": lambda tensors, text: text.pop("training"),
    "identity in words": lambda tensors, text: text.update(identity="x"),
    "epochs in words": lambda tensors, text: text["training"].update(epochs="x"),
    "loss in words": lambda tensors, text: text["training"]["epochs"][0].update(loss="low"),
    "best epoch to come": lambda tensors, text: text["training"].update(best=99),
    "a weight less": lambda tensors, text: tensors.pop("model.item_embedding"),
    "a best weight less": lambda tensors, text: tensors.pop("best.item_embedding"),
    "an optimiser's tensor less": lambda tensors, text: tensors.pop("optimizer.exp_avg.0"),
    "one number for a tensor": lambda tensors, text: tensors.update({"optimizer.exp_avg.0": torch.ones(1)}),
}


@pytest.mark.usefixtures("save_every_epoch")
@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_forged_state_raises(tmp_path: Path, forge: Forge) -> None:
    """The hash of the file is right."""
    train_until_interrupted(tmp_path, 4)
    path = tmp_path / "state.safetensors"
    with state.safe_open(path, "pt") as file:
        text, tensors = json.loads(file.metadata()["segue"]), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    forge(tensors, text)
    written = json.dumps(text)
    state.save_file(tensors, path, metadata={"segue": written, "hash": state._state_hash(written, tensors)})
    with pytest.raises(TrainingError, match=r"state\.safetensors: (cannot be read .*delete it|belongs to)"):
        fit(build(), LOG, validate=ScriptedValidation(*METRICS), folder=tmp_path, patience=9)


@pytest.mark.usefixtures("save_every_epoch")
def test_a_fault_of_segue_is_not_said_to_be_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    train_until_interrupted(tmp_path, 4)
    monkeypatch.setattr(state, "_state_hash", fail)
    with pytest.raises(MemoryError):
        fit(build(), LOG, validate=ScriptedValidation(*METRICS), folder=tmp_path, patience=9)


def flip_bit(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.usefixtures("save_every_epoch")
def test_state_file_is_replaced_atomically(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies during writing leaves the previous state."""
    saves = 0
    save_file: Callable[..., None] = state.save_file

    def die(tensors: Weights, path: Path, **rest: Any) -> None:
        nonlocal saves
        saves += 1
        if saves == 3:
            path.write_bytes(b"half a file")
            raise KeyboardInterrupt
        save_file(tensors, path, **rest)

    monkeypatch.setattr(state, "save_file", die)
    with pytest.raises(KeyboardInterrupt):
        fit(build(), LOG, validate=ScriptedValidation(*METRICS), folder=tmp_path, patience=9)
    model, whole = build(), build()
    fit(model, LOG, validate=ScriptedValidation(*METRICS[2:]), folder=tmp_path, patience=9)
    fit(whole, LOG, validate=ScriptedValidation(*METRICS), patience=9)
    assert_same_weights(copy_weights(model), copy_weights(whole))


def test_delete_training_files_keeps_other_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "training.jsonl").write_text("{}\n")
    (tmp_path / "b").mkdir()
    for name in ("training.jsonl", "mine.txt"):
        (tmp_path / "b" / name).write_text("{}\n")
    for name in ("a", "b", "c"):
        delete_training_files(tmp_path / name)
    assert not (tmp_path / "a").exists()
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["mine.txt"]


def test_two_processes_do_not_train_in_one_folder(tmp_path: Path) -> None:
    model, other = build(epochs=1), build(epochs=1)

    def validate(_: Any) -> float:
        code = f"""
from pathlib import Path
from segue.temporary import locked_folder
with locked_folder(Path({str(tmp_path / "training")!r})) as is_free:
    print(is_free)
"""
        command = [sys.executable, "-c", code]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
        with pytest.raises(TrainingError, match="training: another process is training there; wait until it ends"):
            fit(other, LOG, folder=tmp_path / "training")
        return 1.0

    assert fit(model, LOG, validate=validate, folder=tmp_path / "training").epochs
    fit(other, LOG, folder=tmp_path / "training")
