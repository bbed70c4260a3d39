"""Shapes are checked in every test: jaxtyping's annotations, enforced by beartype."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import install_import_hook

install_import_hook(["segue.batch", "segue.losses", "segue.model", "segue.models", "segue.layers"], "beartype.beartype")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Several threads on busy cores are slower than one, and sum in another order."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def golden() -> Callable[[str], dict[str, np.ndarray]]:
    """`golden("hgn")`: the arrays of hgn.npz, from the folder SEGUE_GOLDEN if it is set, else from tests/golden."""
    folder = Path(os.environ.get("SEGUE_GOLDEN") or Path(__file__).parent / "golden")

    def read(name: str) -> dict[str, np.ndarray]:
        with np.load(folder / f"{name}.npz") as arrays:
            return {key: arrays[key] for key in arrays.files}

    return read
