"""Shapes are checked in every test: jaxtyping's annotations, enforced by beartype."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

CHECKED = [
    *("batches", "nn", "models", "explain"),
    *(
        "evaluation.ranking",
        "evaluation.rating_evaluation",
        "experiments.blend",
        "serving.recommend",
        "serving.top_items",
    ),
]
settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")
install_import_hook([f"segue.{name}" for name in CHECKED], "runtime_types.check")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Several threads on busy cores are slower than one, and sum in another order."""
    with suppress(ModuleNotFoundError):  # the tests of logs need no torch
        import torch

        torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests keep nothing in the cache folder of the person who runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGUE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def golden() -> Callable[[str], dict[str, np.ndarray]]:
    """`golden("hgn")`: the arrays of hgn.npz, from the folder SEGUE_GOLDEN if it is set, else from tests/golden."""
    folder = Path(os.environ.get("SEGUE_GOLDEN") or Path(__file__).parent / "golden")

    def read(name: str) -> dict[str, np.ndarray]:
        with np.load(folder / f"{name}.npz") as arrays:
            return {key: arrays[key] for key in arrays.files}

    return read


@pytest.fixture
def sequential_workers(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Comparisons run their workers in this process, one after the other; the pool that records them in `started`."""
    from sequential_pool import SequentialPool

    from segue.tuning import comparison as compare

    monkeypatch.setattr(SequentialPool, "started", [])
    monkeypatch.setattr(compare, "WorkerPool", SequentialPool)
    return SequentialPool
