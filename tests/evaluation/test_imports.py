"""Modules of evaluation that run no model are imported without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import segue.evaluation

RUN_MODELS = ("ranking", "rating_evaluation")
MODULES = sorted(path.stem for path in Path(segue.evaluation.__file__).parent.glob("*.py") if path.stem != "__init__")


def test_the_modules_that_run_models_exist() -> None:
    assert set(RUN_MODELS) < set(MODULES)


def test_modules_that_run_no_model_do_not_import_torch() -> None:
    names = [f"segue.evaluation.{module}" for module in MODULES if module not in RUN_MODELS]
    code = f"import sys, {', '.join(names)}; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


@pytest.mark.parametrize("module", RUN_MODELS)
def test_modules_that_run_models_import_torch(module: str) -> None:
    code = f"import sys, segue.evaluation.{module}; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "True\n"
