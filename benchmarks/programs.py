"""The peers: how each is set up, run and told apart.

.bench/recbole     venv, data/ml-1m       recbole_setup.sh       from the package index
.bench/rectools    venv                   rectools_setup.sh      from the package index
.bench/replay      venv                   replay_setup.sh        from the package index
.bench/gru4rec     gru4rec_pytorch.py     gru4rec_setup.sh       from GitHub; runs in the venv of RecTools
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.jobs import ROOT, digest


@dataclass(frozen=True, kw_only=True)
class Program:
    """How a peer is set up and run.

    Attributes:
        script: runs it, `benchmarks/SCRIPT.py`.
        folder: of its own among the peers; `benchmarks/FOLDER_setup.sh` fills it.
        environment: the folder whose venv it runs in.
        packages: whose versions are told.
        arguments: of the script, with {folder} for its folder and {events} for the log.
        size: of the set-up, in words.
    """

    script: str
    folder: str
    environment: str
    packages: tuple[str, ...]
    arguments: str
    size: str


PROGRAMS = {
    "RecBole": Program(
        script="peer_recbole",
        folder="recbole",
        environment="recbole",
        packages=("recbole", "torch", "numpy"),
        arguments="--root {folder}",
        size="2 minutes, 1.5 GB",
    ),
    "RecTools": Program(
        script="peer_rectools",
        folder="rectools",
        environment="rectools",
        packages=("RecTools", "pytorch-lightning", "torch", "numpy"),
        arguments="--events {events}",
        size="2 minutes, 1.4 GB",
    ),
    "RePlay": Program(
        script="peer_replay",
        folder="replay",
        environment="replay",
        packages=("replay-rec", "lightning", "torch", "numpy"),
        arguments="--events {events}",
        size="3 minutes, 1.8 GB",
    ),
    "GRU4Rec": Program(
        script="peer_gru4rec",
        folder="gru4rec",
        environment="rectools",
        packages=("torch", "pandas", "numpy"),
        arguments="--program {folder} --events {events}",
        size="seconds, 1 MB",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Where a peer is: its Python, what its script has to be told, and the versions of what it runs on."""

    python: Path
    arguments: tuple[str, ...]
    versions: str


Peers = Mapping[str, Peer]  # name in PROGRAMS -> where it is; those that are not here are left out


def peer_version(name: str, peer: Peer) -> str:
    """Of all that a measurement of a peer runs through."""
    return digest([ROOT / f"benchmarks/{script}.py" for script in (PROGRAMS[name].script, "peers")], peer.versions)
