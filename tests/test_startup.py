"""What is imported at the start: a command loads the packages and the models that it uses, and no others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from segue.data import synthetic
from segue.models.neighbours.seq_knn import SeqKNN
from segue.models.popularity.pop import Pop
from segue.models.registry import LOCATIONS
from segue.serving.saved_model import save
from segue.testing import subject

COMMAND = "import sys; from segue.cli import status; assert not status(sys.argv[1:]); print(*sys.modules)"

SERVICE = """
import sys
sys.modules["numba"] = None  # as without the extra: a service loads it, and it loads others
from pathlib import Path
from segue.service.app import create_app
from segue.service.run_server import limits_of
from segue.service.start import start_service
service = start_service(Path(sys.argv[1]), "sqlite:///" + sys.argv[2])
create_app(service, limits_of("127.0.0.1", service.keys, require_keys=False, rate=None, connections=8))
print(*sys.modules)
"""

LOADED = """
import sys
from pathlib import Path
from segue.service.models.loaded_model import LoadedModel
LoadedModel.load(Path(sys.argv[1]))
print(*sys.modules)
"""


@pytest.fixture(scope="module")
def pop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = synthetic.cycle(num_users=20, num_items=8, length=6)
    return save(subject(Pop).train(log), log, tmp_path_factory.mktemp("models") / "pop")


@pytest.fixture(scope="module")
def seq_knn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = synthetic.cycle(num_users=20, num_items=8, length=6)
    return save(subject(SeqKNN).train(log), log, tmp_path_factory.mktemp("models") / "seq-knn")


def imported(code: str, *arguments: str) -> set[str]:
    """The modules that a new interpreter has after `code`, which prints them on its last line."""
    ran = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return {*ran.stdout.splitlines()[-1].split()}


def models_in(modules: set[str]) -> set[str]:
    """The built-in models whose modules were imported."""
    return {name for name, location in LOCATIONS.items() if location.partition(":")[0] in modules}


def test_help_needs_no_package_for_data_or_models() -> None:
    modules = imported(COMMAND, "--help")
    assert not modules & {"torch", "scipy", "polars", "numpy", "numba", "pydantic", "sqlalchemy", "urllib.request"}


def test_recommending_imports_one_model(pop: Path) -> None:
    modules = imported(COMMAND, "recommend", str(pop), "--user", "1")
    assert models_in(modules) == {"pop"}
    assert not modules & {"scipy", "numba", "sympy", "sqlalchemy", "fastapi", "optuna", "altair", "sklearn"}


def test_a_service_imports_its_model_and_nothing_that_trains_or_draws(pop: Path, tmp_path: Path) -> None:
    modules = imported(SERVICE, str(pop), str(tmp_path / "events.db"))
    assert models_in(modules) == {"pop"}
    unused = {"scipy", "sympy", "torch._dynamo", "optuna", "altair", "sklearn", "onnx", "rich", "cyclopts"}
    assert not modules & unused
    assert not any(name.startswith(("segue.tuning", "segue.training", "segue.papers")) for name in modules)


def test_numba_is_imported_for_a_service_and_not_for_one_recommendation(seq_knn: Path) -> None:
    pytest.importorskip("numba")
    assert "numba" not in imported(COMMAND, "recommend", str(seq_knn), "--user", "1")
    assert "numba" in imported(LOADED, str(seq_knn))
