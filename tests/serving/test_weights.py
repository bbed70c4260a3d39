"""Before the weights of a model are loaded, their file bounds how large the model may be."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import save_file

from segue.errors import ArtefactError
from segue.models.base.model import Model, Sizes
from segue.models.registry import MODELS
from segue.serving.weights import check_size

SIZES = Sizes(12, 9)


def test_every_model_fits_into_the_bound_of_its_own_weights(tmp_path: Path) -> None:
    for name, kind in MODELS.items():
        weights = {key: table.contiguous() for key, table in kind(kind.configure(), SIZES).state_dict().items()}
        save_file(weights, tmp_path / name)
        built: list[Model] = []
        check_size(
            tmp_path / name, lambda built=built, kind=kind: built.append(kind(kind.configure(), SIZES)), repair=""
        )
        shapes = {key: (table.shape, table.dtype) for key, table in built[0].state_dict().items()}
        assert shapes == {key: (table.shape, table.dtype) for key, table in weights.items()}, name


def test_a_model_of_many_more_users_does_not_fit(tmp_path: Path) -> None:
    kind = MODELS["bprmf"]
    save_file(kind(kind.configure(), SIZES).state_dict(), tmp_path / "weights")
    with pytest.raises(ArtefactError, match=r"weights: too small for a model of the settings and sizes .*; copy it"):
        check_size(tmp_path / "weights", lambda: kind(kind.configure(), Sizes(10**9, 9)), repair="copy it")
