"""All files of saved models, saved logs and trainings have the permissions of every new file."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from segue.data import synthetic
from segue.data.store import save_log
from segue.evaluation.protocol import Protocol
from segue.experiments.experiment import Experiment
from segue.models.base.model import Sizes
from segue.models.registry import MODELS
from segue.serving.saved_model import save
from segue.training.loop import fit


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o002] if sys.platform != "win32" else [])
def test_all_files_have_the_permissions_of_new_files(tmp_path: Path, umask: int) -> None:
    log = synthetic.markov(40, 12, 10, seed=1, shortest=4)
    before = os.umask(umask)
    try:
        outcome = Experiment(model="pop", protocol=Protocol.named("leave-one-out")).run(log)
        save(outcome.model, log, tmp_path / "model", **outcome.about())
        save_log(log, tmp_path / "log")
        fit(
            MODELS["bprmf"](MODELS["bprmf"].configure({"epochs": 1}), Sizes.of(log)),
            log,
            folder=tmp_path / "training",
            keep_state=True,
        )
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_file()}
    assert len(modes) > 8
    assert "state.safetensors" in modes
    assert modes == dict.fromkeys(modes, 0o666 & ~umask)
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("model", "log")} == {0o777 & ~umask}
