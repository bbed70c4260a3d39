"""Data-parallel training: two processes, connected by gloo on this machine, give the weights of one process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from segue import distributed

TRAIN = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from safetensors.torch import save_file
from segue import distributed
from segue.data import synthetic
from segue.data.splits import leave_last_out
from segue.models.base.model import Sizes
from segue.models.registry import MODELS
from segue.experiments.experiment import Experiment
from segue.evaluation.protocol import Protocol
from segue.training.loop import fit

distributed.init()
out = Path(sys.argv[1])
# 65 rows in batches of 64: the second process has nothing to do in the last one
log = synthetic.from_sequences([[1 + (5 * u + i) % 17 for i in range(6)] for u in range(65)])
SETTINGS = {
    "bprmf": {"batch_size": 389},
    "bprmf sgd": {"optimizer": "sgd"},
    "hgn": {},
    "hgn chunks": {"windows_per_row": 2, "pooling": "max"},
    "hgn ce": {"loss": "ce", "reduction": "mean"},
    "gru4rec+": {"num_negatives": 20, "hidden_dropout": 0.0},
}
for variant, settings in SETTINGS.items():
    kind = MODELS[variant.partition(" ")[0]]
    torch.manual_seed(1)
    config = kind.configure({"embedding_dim": 4, "epochs": 3, "batch_size": 64, "lr": 0.01, **settings})
    model = kind(config, Sizes(65, 17))
    training = fit(model, log, seed=2, folder=out / variant)
    weights = {**model.state_dict(), "loss": torch.tensor([epoch.loss for epoch in training.epochs])}
    save_file(weights, out / f"{variant}.{distributed.process_rank()}.safetensors")
settings = {"embedding_dim": 4, "epochs": 3}
experiment = Experiment(model="hgn", protocol=Protocol.named("leave-one-out"), settings=settings, refit=True)
outcome = experiment.run(log, folder=out / "experiment")
save_file(outcome.model.state_dict(), out / f"experiment.{distributed.process_rank()}.safetensors")
if distributed.world_size() > 1:
    torch.distributed.destroy_process_group()
"""

VARIANTS = ("bprmf", "bprmf sgd", "hgn", "hgn chunks", "hgn ce", "gru4rec+", "experiment")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def train(out: Path, world_size: int) -> None:
    """Run TRAIN in `world_size` processes, with the variables that torchrun sets."""
    out.mkdir()
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(world_size)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TRAIN, str(out)],
            env={**os.environ, **shared, "RANK": str(rank), "GLOO_SOCKET_IFNAME": "lo", "SEGUE_QUIET": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(world_size)
    ]
    try:
        errors = [process.communicate(timeout=120)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * world_size, "\n".join(errors)


def test_two_processes_give_the_weights_of_one_process(tmp_path: Path) -> None:
    train(tmp_path / "one", 1)
    train(tmp_path / "two", 2)
    for variant in VARIANTS:
        one = load_file(tmp_path / "one" / f"{variant}.0.safetensors")
        two, other = (load_file(tmp_path / "two" / f"{variant}.{rank}.safetensors") for rank in (0, 1))
        assert one.keys() == two.keys() == other.keys()
        for key, value in one.items():
            where = f"{key} of {variant}"
            torch.testing.assert_close(two[key], value, rtol=0, atol=1e-5, msg=lambda text, at=where: f"{at}: {text}")
            assert torch.equal(two[key], other[key]), f"{where} differs between the processes"
        # one process writes the log of the training
        folder = tmp_path / "two" / variant
        assert len((folder / "training.jsonl").read_text().splitlines()) == 3


def test_single_process() -> None:
    assert (distributed.process_rank(), distributed.world_size()) == (0, 1)
    distributed.init()
    assert not torch.distributed.is_initialized()
    tensor = torch.tensor([1.0, 2.0])
    assert distributed.all_reduce(tensor) is tensor
    weight = torch.nn.Parameter(torch.ones(2))
    distributed.all_reduce_gradients([weight])
    assert weight.grad is None
