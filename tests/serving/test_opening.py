"""Opening a model loads no compiler of torch, which would take longer than all the rest."""

from __future__ import annotations

import subprocess
import sys

BUILD = """
import sys, torch
from segue.models.base.model import Sizes
from segue.models.registry import MODELS
for name, kind in MODELS.items():
    if name not in ("hm-lstm", "narm", "stamp", "hcrnn", "hcrnn-running"):  # these need it to be built without memory
        with torch.device("meta"):
            kind(kind.Config(), Sizes(10, 10, 3))
        assert "torch._dynamo" not in sys.modules, name
"""


def test_models_are_built_without_memory_and_without_a_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", BUILD], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
