"""segue: what comes next. Sequential recommendation from a log of events, measured honestly.

The names below are the public ones. Each is imported when it is first asked for, so `import segue` costs next to
nothing and needs no torch; the modules named beside them hold the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segue.batches.batch import Batch as Batch
    from segue.data.datasets.catalog import load_log as load_log
    from segue.data.log import Log as Log
    from segue.data.readers.ingest import read_log as read_log
    from segue.data.splits import EvalInstances as EvalInstances
    from segue.errors import SegueError as SegueError
    from segue.evaluation.protocol import Protocol as Protocol
    from segue.evaluation.ranks import Ranks as Ranks
    from segue.evaluation.table import table as table
    from segue.experiments.experiment import Experiment as Experiment
    from segue.models.base.model import Model as Model
    from segue.models.registry import MODELS as MODELS
    from segue.serving.saved_model import load as load_model
    from segue.serving.saved_model import save as save_model
    from segue.training.loop import fit as fit

__all__ = [
    "MODELS",
    "Batch",
    "EvalInstances",
    "Experiment",
    "Log",
    "Model",
    "Protocol",
    "Ranks",
    "SegueError",
    "fit",
    "load_log",
    "load_model",
    "read_log",
    "save_model",
    "table",
]

_PLACES = {
    "MODELS": "segue.models.registry:MODELS",
    "Batch": "segue.batches.batch:Batch",
    "EvalInstances": "segue.data.splits:EvalInstances",
    "Experiment": "segue.experiments.experiment:Experiment",
    "Log": "segue.data.log:Log",
    "Model": "segue.models.base.model:Model",
    "Protocol": "segue.evaluation.protocol:Protocol",
    "Ranks": "segue.evaluation.ranks:Ranks",
    "SegueError": "segue.errors:SegueError",
    "fit": "segue.training.loop:fit",
    "load_log": "segue.data.datasets.catalog:load_log",
    "load_model": "segue.serving.saved_model:load",
    "read_log": "segue.data.readers.ingest:read_log",
    "save_model": "segue.serving.saved_model:save",
    "table": "segue.evaluation.table:table",
}


if not TYPE_CHECKING:  # a type checker shall see a misspelt name as the error it is

    def __getattr__(name: str) -> Any:
        if name not in _PLACES:
            raise AttributeError(f"module 'segue' has no attribute {name!r}")
        module, _, attribute = _PLACES[name].partition(":")
        found = globals()[name] = getattr(import_module(module), attribute)
        return found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
