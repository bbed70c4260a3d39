"""The wheel in clean environments: on each Python of this machine, without extras and with each, every command works.

Pythons are looked for on the PATH, in ~/.pyenv, and in SEGUE_PYTHONS (paths with ":" between them). torch is taken from
this machine alone (uv's cache, PIP_FIND_LINKS), since its usual wheels are several gigabytes; where there is none for a
Python, the commands that need torch are skipped there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pytest

from segue.cli import app

from .conftest import ROOT, Build

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
VERSIONS = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"]))
EXTRAS = ["", *PROJECT["optional-dependencies"]]
NO_NETWORK = ("error sending request", "Failed to fetch", "dns error", "Network connectivity is disabled")
EVENTS = "".join(f"u{u},{(3 * u + t) % 8},{1_600_000_000 + 100 * t + u}\n" for u in range(12) for t in range(6))

COMMANDS = {  # in this order, in one folder; words with which each command works on a small log
    "models": ["models"],
    "data": ["data events.csv --out log"],
    "run": ["run pop log", "run hgn log --set embedding_dim=4 epochs=2", "run pop log --by length --picture x.svg"],
    "fit": ["fit hgn log --like models/hgn"],
    "blend": ["blend models/hgn models/pop --data log"],
    "evaluate": ["evaluate models/blend models/pop --data log"],
    "recommend": ["recommend models/hgn --user u1", "recommend models/hgn --all --out all.parquet"],
    "explain": ["explain models/hgn --user u1 --html x.html"],
    "similar": ["similar models/hgn --item 3"],
    "search": ["search bprmf log --trials 4 --set embedding_dim=4 epochs=1 --out models/best"],
    "compare": ["compare log --models pop,item-knn --trials 2 --jobs 1"],
    "board": ["board log --models pop,item-knn --trials 2"],
    "reproduce": ["reproduce criteo-table2-params --quick", "reproduce criteo-table2-params --quick --out table"],
    "demo": ["demo"],
    "export": ["export models/hgn --no-onnx --out vectors", "export models/hgn --out export"],
    "serve": ["serve models/hgn --port 0"],
    "rules": ["rules list"],
    "store": ["store copy sqlite:///segue-events.db sqlite:///backup.db"],
    "retrain": ["retrain models/hgn --always"],
    "monitor": ["monitor http://127.0.0.1:9 --once"],
}
NEEDED = {
    "--picture": "viz",
    "--out table": "viz",
    "--out export": "export",
    "search": "tune",
    "compare": "tune",
    "board": "tune",
    **dict.fromkeys(("serve", "rules", "store", "retrain", "monitor"), "serve"),
}
READ = ("data events.csv --out log", "run hgn log --set embedding_dim=4 epochs=2")  # what other commands read
WITHOUT_ANSWER = {  # commands that need a network or a service, which they name
    "demo": r"ml-100k \(.*\) could not be found\. Tried:",
    "monitor http://127.0.0.1:9 --once": r"127\.0\.0\.1:9.*: does not answer",
}
WITHOUT_TORCH = ["--version", "--help", "run --help", "data events.csv --out log", "data log --json log.json"]


@cache
def pythons() -> dict[str, str]:
    """The interpreter of each Python that segue supports and this machine has."""
    names = [Path(path) for path in os.environ.get("SEGUE_PYTHONS", "").split(os.pathsep) if path]
    names += [Path(found) for one in VERSIONS if (found := shutil.which(f"python{one}"))]
    names += sorted(Path.home().glob(".pyenv/versions/*/bin/python"))
    found = {f"{sys.version_info.major}.{sys.version_info.minor}": sys.executable}
    for name in names:
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        done = subprocess.run([str(name), "-c", code], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip() in VERSIONS:
            found.setdefault(done.stdout.strip(), str(name))
    return found


def uv(*words: str, **options: str) -> subprocess.CompletedProcess[str]:
    """Run uv, where the indexes and certificates are those of pip."""
    program = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        pytest.skip("uv is not installed; `make setup` installs it")
    links = {"UV_FIND_LINKS": os.environ["PIP_FIND_LINKS"]} if "PIP_FIND_LINKS" in os.environ else {}
    environment = {**links, "UV_SYSTEM_CERTS": "1", **os.environ, **options}
    return subprocess.run([program, *words], capture_output=True, text=True, env=environment, check=False)


def install(python: Path, *packages: str) -> None:
    """Install packages into the environment of an interpreter; without a network, skip the test."""
    done = uv("pip", "install", "--quiet", "--python", str(python), *packages)
    if any(words in done.stderr for words in NO_NETWORK):
        pytest.skip(f"packages cannot be fetched: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


def new_environment(number: str, folder: Path) -> Path:
    """The interpreter of a new, empty environment."""
    if number not in pythons():
        pytest.skip(f"this machine has no Python {number}")
    done = uv("venv", "--quiet", "--python", pythons()[number], str(folder / "venv"))
    assert done.returncode == 0, done.stderr
    return folder / "venv" / "bin" / "python"


def has_torch(python: Path) -> bool:
    """Install torch from this machine, of the version that runs here; False if there is none for this Python."""
    pinned = f"torch=={version('torch').partition('+')[0]}"
    return uv("pip", "install", "--offline", "--no-deps", "--python", str(python), pinned).returncode == 0


def clean(folder: Path) -> dict[str, str]:
    """The variables of a process that knows nothing of this checkout and reaches no network."""
    (folder / "home").mkdir(exist_ok=True)
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    own = {"HOME": str(folder / "home"), "SEGUE_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
    return {"PATH": os.environ["PATH"], **own, **nowhere}


def commands(extra: str) -> list[str]:
    """The commands that are tried with an extra: without one all, and else those that it is for and what they read."""
    every = [words for each in COMMANDS.values() for words in each]
    own = [part for part, needed in NEEDED.items() if needed == extra]
    return [words for words in every if not extra or words in READ or any(part in words for part in own)]


def expected(words: str, extra: str) -> tuple[int, str]:
    """The exit code of a command in an environment with an extra, and what it says on stderr."""
    if words in WITHOUT_ANSWER and NEEDED.get(words.split(maxsplit=1)[0], extra) == extra:
        return 2, WITHOUT_ANSWER[words]
    for part, needed in NEEDED.items():
        if part in words and extra != needed:
            return 2, rf'pip install "segue\[{needed}\]"'
    return 0, ""


def run(python: Path, words: str, folder: Path) -> tuple[int, str]:
    """The exit code of a command and what it says on stderr. A service is interrupted once it answers."""
    command = [str(python.with_name("segue")), *words.split()]
    with subprocess.Popen(
        command, cwd=folder / "work", env=clean(folder), text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if words.startswith("serve") and "http://" in line:
                process.send_signal(signal.SIGINT)
    return process.returncode, "".join(said)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with spaces, other letters and a small log."""
    folder = tmp_path / "a folder für Käufe"
    (folder / "work").mkdir(parents=True)
    (folder / "work" / "events.csv").write_text(f"user,item,time\n{EVENTS}")
    return folder


def test_every_command_is_here() -> None:
    assert set(COMMANDS) == {name for name in app if not name.startswith("-")}


@pytest.mark.slow
@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("number", VERSIONS)
def test_every_command_runs_or_names_its_extra(number: str, extra: str, build: Build, place: Path) -> None:
    python = new_environment(number, place)
    if not has_torch(python):
        pytest.skip(f"this machine has no torch for Python {number}, whose usual wheels are several gigabytes")
    install(python, f"segue{f'[{extra}]' if extra else ''} @ {build.wheel.as_uri()}")
    for words in commands(extra):
        code, message = expected(words, extra)
        found, said = run(python, words, place)
        assert "Traceback" not in said, f"{words}: {said}"
        assert found in ((0, 130) if words.startswith("serve") and not code else (code,)), f"{words}: {said}"
        assert re.search(message, said), f"{words}: {said}"


@pytest.mark.slow
@pytest.mark.parametrize("number", VERSIONS)
def test_without_torch_logs_are_read_and_the_other_commands_name_it(number: str, build: Build, place: Path) -> None:
    python = new_environment(number, place)
    needed = [name for name in PROJECT["dependencies"] if not name.startswith("torch")]
    install(python, *needed)
    install(python, "--no-deps", str(build.wheel))
    package = next((python.parents[1] / "lib").glob("*/site-packages/segue"))
    compileall = [str(python), "-W", "error", "-m", "compileall", "-q", "-f", str(package)]
    done = subprocess.run(compileall, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for words in WITHOUT_TORCH:
        assert run(python, words, place)[0] == 0, words
    assert json.loads((place / "work" / "log.json").read_text())["fingerprint"]
    code, said = run(python, "run pop log", place)
    assert (code, said.count("\n")) == (2, 1), said
    assert said.startswith("segue: this needs the package torch, which is not installed: ")


@pytest.mark.slow
@pytest.mark.parametrize("number", VERSIONS)
def test_the_tests_of_logs_pass_without_torch(number: str, build: Build, place: Path) -> None:
    shutil.unpack_archive(build.sdist, place, filter="data")
    (unpacked,) = place.glob("segue-*")
    python = new_environment(number, place)
    needed = [name for name in PROJECT["dependencies"] if not name.startswith("torch")]
    install(python, *needed, "pytest", "hypothesis", "beartype", "psutil", "pandas", "pyarrow")
    install(python, "--no-deps", str(build.wheel))
    done = subprocess.run(
        [str(python), "-m", "pytest", "-q", "-m", "not slow", "tests/data"],
        cwd=unpacked,
        env=clean(place),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
