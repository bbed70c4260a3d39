"""Opening a model loads no compiler of torch, which would take longer than all the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

CHECK = """
import sys
from pathlib import Path
from segue.models.base.model import Sizes
from segue.models.registry import MODELS
from segue.serving.weights import check_size
for name, kind in MODELS.items():
    check_size(Path(sys.argv[1]), lambda: kind(kind.Config(), Sizes(10, 10, 3)), repair="")
    assert not {"torch._dynamo", "sympy"} & {*sys.modules}, name
"""


def test_models_are_built_without_memory_and_without_a_compiler(tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    save_file({"table": torch.zeros(1)}, weights)
    done = subprocess.run([sys.executable, "-c", CHECK, weights], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
