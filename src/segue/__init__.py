"""segue: training, evaluation and serving of sequential recommenders on an interaction log.

The names below are the public ones. Each is imported at its first use, so `import segue` is cheap and does not import
torch. `_LOCATIONS` gives the module of each name.
"""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segue.batches.batch import Batch as Batch
    from segue.data.datasets.catalog import load_log as load_log
    from segue.data.log import Log as Log
    from segue.data.readers.ingest import read_log as read_log
    from segue.data.splits import EvalInstances as EvalInstances
    from segue.errors import SegueError as SegueError
    from segue.evaluation.protocol import Protocol as Protocol
    from segue.evaluation.ranking_protocol import RankingProtocol as RankingProtocol
    from segue.evaluation.ranks import Ranks as Ranks
    from segue.evaluation.rating_protocol import RatingProtocol as RatingProtocol
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
    "RankingProtocol",
    "Ranks",
    "RatingProtocol",
    "SegueError",
    "fit",
    "load_log",
    "load_model",
    "read_log",
    "save_model",
    "table",
]

_LOCATIONS = {
    "MODELS": "segue.models.registry:MODELS",
    "Batch": "segue.batches.batch:Batch",
    "EvalInstances": "segue.data.splits:EvalInstances",
    "Experiment": "segue.experiments.experiment:Experiment",
    "Log": "segue.data.log:Log",
    "Model": "segue.models.base.model:Model",
    "Protocol": "segue.evaluation.protocol:Protocol",
    "RankingProtocol": "segue.evaluation.ranking_protocol:RankingProtocol",
    "Ranks": "segue.evaluation.ranks:Ranks",
    "RatingProtocol": "segue.evaluation.rating_protocol:RatingProtocol",
    "SegueError": "segue.errors:SegueError",
    "fit": "segue.training.loop:fit",
    "load_log": "segue.data.datasets.catalog:load_log",
    "load_model": "segue.serving.saved_model:load",
    "read_log": "segue.data.readers.ingest:read_log",
    "save_model": "segue.serving.saved_model:save",
    "table": "segue.evaluation.table:table",
}


if not TYPE_CHECKING:  # so that type checkers report misspelt names

    def __getattr__(name: str) -> Any:
        if name not in _LOCATIONS:
            raise AttributeError(f"module 'segue' has no attribute {name!r}")
        value = globals()[name] = resolve_name(_LOCATIONS[name])
        return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
