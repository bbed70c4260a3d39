"""The peer libraries: how each is set up and run, and its version.

.bench/recbole     venv, data/ml-1m       recbole_setup.sh       from the package index
.bench/rectools    venv                   rectools_setup.sh      from the package index
.bench/replay      venv                   replay_setup.sh        from the package index
.bench/gru4rec     gru4rec_pytorch.py     gru4rec_setup.sh       from GitHub; runs in the venv of RecTools
.bench/implicit    venv                   implicit_setup.sh      from the package index
.bench/warprec     venv                   warprec_setup.sh       from the package index
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.jobs import BENCH, ROOT, MeasurementFailed, files_hash, measure

EVENTS = BENCH / "ml-1m.npz"
VERSIONS = """
import json, platform, sys
from importlib.metadata import version
packages = ", ".join(f"{name} {version(name)}" for name in sys.argv[1:])
print(json.dumps(f"Python {platform.python_version()}, {packages}"))
"""


@dataclass(frozen=True, kw_only=True)
class PeerSetup:
    """How a peer library is set up and run.

    Attributes:
        script: the name of `benchmarks/SCRIPT.py`, which runs it.
        folder: its folder among the peers, filled by `benchmarks/FOLDER_setup.sh`.
        environment: the folder whose virtual environment it runs in.
        packages: packages whose versions are reported.
        arguments: of the script; {folder} stands for its folder and {events} for the exported log.
        size: duration and disk space of the set-up.
    """

    script: str
    folder: str
    environment: str
    packages: tuple[str, ...]
    arguments: str
    size: str


PEER_SETUPS = {
    "RecBole": PeerSetup(
        script="peer_recbole",
        folder="recbole",
        environment="recbole",
        packages=("recbole", "torch", "numpy"),
        arguments="--root {folder}",
        size="2 minutes, 1.5 GB",
    ),
    "RecTools": PeerSetup(
        script="peer_rectools",
        folder="rectools",
        environment="rectools",
        packages=("RecTools", "pytorch-lightning", "torch", "numpy"),
        arguments="--events {events}",
        size="2 minutes, 1.4 GB",
    ),
    "RePlay": PeerSetup(
        script="peer_replay",
        folder="replay",
        environment="replay",
        packages=("replay-rec", "lightning", "torch", "numpy"),
        arguments="--events {events}",
        size="3 minutes, 1.8 GB",
    ),
    "GRU4Rec": PeerSetup(
        script="peer_gru4rec",
        folder="gru4rec",
        environment="rectools",
        packages=("torch", "pandas", "numpy"),
        arguments="--program {folder} --events {events}",
        size="seconds, 1 MB",
    ),
    "implicit": PeerSetup(
        script="peer_implicit",
        folder="implicit",
        environment="implicit",
        packages=("implicit", "numpy", "scipy"),
        arguments="--events {events}",
        size="half a minute, 200 MB",
    ),
    "WarpRec": PeerSetup(
        script="peer_warprec",
        folder="warprec",
        environment="warprec",
        packages=("warprec", "lightning", "torch", "numpy"),
        arguments="--events {events}",
        size="2 minutes, 2 GB",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Peer:
    """An installed peer: its Python, the arguments of its script, and the versions of its packages."""

    python: Path
    arguments: tuple[str, ...]
    versions: str


Peers = Mapping[str, Peer]  # name in PEER_SETUPS -> installed peer; missing ones are left out


def peer_version(name: str, peer: Peer) -> str:
    """A hash of everything that a measurement of a peer runs."""
    return files_hash(
        [ROOT / f"benchmarks/{script}.py" for script in (PEER_SETUPS[name].script, "peer_common")], peer.versions
    )


def find_peers(names: list[str], folder: Path, *, set_up: bool) -> dict[str, Peer]:
    """The environments of these peers. Missing ones are set up, or else left out; so is a peer whose set-up fails."""
    peers = {}
    for name in names:
        setup = PEER_SETUPS[name]
        # not resolved: the Python of a virtual environment is a symbolic link
        python = (folder / setup.environment / "venv/bin/python").absolute()
        try:
            if set_up:
                print(f"{name} in {folder / setup.folder}: set up if it is missing ({setup.size})", flush=True)
                script = ROOT / f"benchmarks/{setup.folder}_setup.sh"
                if subprocess.run(["bash", script, folder / setup.folder], check=False).returncode:
                    raise MeasurementFailed("its set-up failed")
            elif not (folder / setup.folder).is_dir():
                raise MeasurementFailed(f"it is not in {folder}")
            versions = measure([str(python), "-c", VERSIONS, *setup.packages])["output"]
        except (OSError, MeasurementFailed) as error:
            print(f"{name} is left out: {error}", flush=True)
            continue
        paths = {"folder": str((folder / setup.folder).absolute()), "events": str(EVENTS)}
        arguments = tuple(word.format(**paths) for word in setup.arguments.split())
        peers[name] = Peer(python=python, arguments=arguments, versions=versions)
    if any("{events}" in PEER_SETUPS[name].arguments for name in peers):
        measure([sys.executable, "-m", "benchmarks.segue_side", "export", "--events", str(EVENTS)])
    return peers
