"""`rank_retrained`: the test of a model that is trained anew while the test part goes by, each hour or each night.

train, validation | test, first day   the model itself
                  | second day        a model trained on all rows before the second day
                  | third day         a model trained on all rows before the third day
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from segue.data.splits import Split, by_date
from segue.evaluation.prequential import periods
from segue.evaluation.protocol import Protocol
from segue.evaluation.ranking_protocol import RankingProtocol
from segue.evaluation.ranks import Ranks
from segue.models.base.model import Model
from segue.reporting.console import progress

if TYPE_CHECKING:
    from segue.experiments.experiment import Experiment


def rows_before_retrainings(protocol: Protocol, split: Split) -> list[int]:
    """The number of rows that each of these models but the first is trained on; empty where none is trained anew."""
    if not (isinstance(protocol, RankingProtocol) and protocol.trains_anew):
        return []
    _, *later = periods(protocol.instances(split, "test"), protocol.retrain)
    return np.searchsorted(np.sort(split.log.known_times), [start for start, _ in later]).tolist()


def rank_retrained(experiment: Experiment, model: Model, split: Split, epochs: int) -> Ranks:
    """The ranks of the test part, after its first hour or day by models that are trained on all rows before theirs.

    Args:
        experiment: whose model is trained, under a protocol with `retrain`.
        model: the one that is tested first.
        split: of the log.
        epochs: of each training, for a model that is trained in epochs.
    """
    protocol = RankingProtocol.expect(experiment.protocol, f"{experiment.protocol.name}: ranks no items")
    (_, first), *later = periods(protocol.instances(split, "test"), protocol.retrain)
    parts = [protocol.rank_stream(model, split, first)]
    with progress(f"training {experiment.name} anew", total=len(later), unit="trainings") as bar:
        for start, instances in later:
            before = replace(by_date(split.log, start, valid=0), cold=split.cold)
            parts.append(protocol.rank_stream(experiment.fit_rows(before.train, epochs)[0], before, instances))
            bar.advance()
    return Ranks.join(parts)
