"""The peer libraries: how each is set up and run, and its version.

peers/recbole_setup.sh      fills .bench/recbole
peers/recbole.py            measures RecBole there, in its own environment
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.jobs import BENCH, ROOT, MeasurementFailed, files_hash, measure

PEERS = ROOT / "benchmarks" / "peers"
SHARED = "events", "lightning_trainer"
EVENTS = BENCH / "ml-1m.npz"
VERSIONS = """
import json, platform, sys
from importlib.metadata import version
packages = ", ".join(f"{name} {version(name)}" for name in sys.argv[1:])
print(json.dumps(f"Python {platform.python_version()}, {packages}"))
"""


@dataclass(frozen=True)
class Peer:
    """An installed peer: its Python, the arguments of its script, and the versions of its packages."""

    python: Path
    arguments: tuple[str, ...]
    versions: str = ""


Peers = Mapping[str, Peer]  # name in PEER_SETUPS -> installed peer; missing ones are left out


@dataclass(frozen=True, kw_only=True)
class PeerSetup:
    """How a peer library is set up and run.

    Attributes:
        name: of its script `peers/NAME.py`, of `peers/NAME_setup.sh`, and of the folder that the latter fills.
        packages: packages whose versions are reported.
        arguments: of the script; {folder} stands for its folder and {events} for the exported log.
        size: duration and disk space of the set-up.
        environment: the folder whose virtual environment it runs in; its own by default.
    """

    name: str
    packages: tuple[str, ...]
    arguments: str
    size: str
    environment: str = ""

    @property
    def module(self) -> str:
        """The module of its script."""
        return f"benchmarks.peers.{self.name}"

    @property
    def files(self) -> list[Path]:
        """Everything of this project that a measurement runs."""
        return [ROOT / "benchmarks/measurement.py", *(PEERS / f"{name}.py" for name in (self.name, *SHARED))]

    def peer(self, folder: Path) -> Peer:
        """The peer, which is set up in the folder of all peers; its versions are not known yet."""
        paths = {"folder": str((folder / self.name).absolute()), "events": str(EVENTS)}
        # not resolved: the Python of a virtual environment is a symbolic link
        python = (folder / (self.environment or self.name) / "venv/bin/python").absolute()
        return Peer(python, tuple(word.format(**paths) for word in self.arguments.split()))


PEER_SETUPS = {
    "RecBole": PeerSetup(
        name="recbole",
        packages=("recbole", "torch", "numpy"),
        arguments="--root {folder}",
        size="2 minutes, 1.5 GB",
    ),
    "RecTools": PeerSetup(
        name="rectools",
        packages=("RecTools", "pytorch-lightning", "torch", "numpy"),
        arguments="--events {events}",
        size="2 minutes, 1.4 GB",
    ),
    "RePlay": PeerSetup(
        name="replay",
        packages=("replay-rec", "lightning", "torch", "numpy"),
        arguments="--events {events}",
        size="3 minutes, 1.8 GB",
    ),
    "GRU4Rec": PeerSetup(
        name="gru4rec",
        environment="rectools",
        packages=("torch", "pandas", "numpy"),
        arguments="--program {folder} --events {events}",
        size="seconds, 1 MB",
    ),
    "implicit": PeerSetup(
        name="implicit",
        packages=("implicit", "numpy", "scipy"),
        arguments="--events {events}",
        size="half a minute, 200 MB",
    ),
    "WarpRec": PeerSetup(
        name="warprec",
        packages=("warprec", "lightning", "torch", "numpy"),
        arguments="--events {events}",
        size="2 minutes, 2 GB",
    ),
}


def peer_version(label: str, peer: Peer) -> str:
    """A hash of everything that a measurement of a peer runs."""
    return files_hash(PEER_SETUPS[label].files, peer.versions)


def find_peers(labels: list[str], folder: Path, *, set_up: bool) -> dict[str, Peer]:
    """The environments of these peers. Missing ones are set up, or else left out; so is a peer whose set-up fails."""
    peers = {}
    for label in labels:
        try:
            peers[label] = find_peer(PEER_SETUPS[label], folder, set_up=set_up)
        except (OSError, MeasurementFailed) as error:
            print(f"{label} is left out: {error}", flush=True)
    if any("{events}" in PEER_SETUPS[label].arguments for label in peers):
        measure([sys.executable, "-m", "benchmarks.segue_side", "export", "--events", str(EVENTS)])
    return peers


def find_peer(setup: PeerSetup, folder: Path, *, set_up: bool) -> Peer:
    """The environment of a peer.

    Raises:
        MeasurementFailed: it is not set up, or cannot be.
    """
    own = folder / setup.name
    if set_up:
        print(f"{own}: set up if it is missing ({setup.size})", flush=True)
        if subprocess.run(["bash", PEERS / f"{setup.name}_setup.sh", own], check=False).returncode:
            raise MeasurementFailed("its set-up failed")
    elif not own.is_dir():
        raise MeasurementFailed(f"it is not in {folder}")
    peer = setup.peer(folder)
    return replace(peer, versions=measure([str(peer.python), "-c", VERSIONS, *setup.packages])["output"])
