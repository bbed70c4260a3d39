"""The winner of a search: trained once more, tested once, saved as a model, and remembered.

hgn/                 the saved model
hgn.search/          the study, and
  result.npz         what the winner achieved, question by question: asked again, it is read, not measured
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from segue.data.log import Log
from segue.evaluation import result_files as archive
from segue.evaluation.table import Result
from segue.experiments.experiment import Experiment
from segue.serving import saved_model as checkpoint
from segue.tuning.search import Search
from segue.tuning.trial import Trial
from segue.tuning.workers import peak_mb


def study_of(place: Path) -> Path:
    """The folder of the trials for the model of `place`; it lies beside it."""
    return place.with_name(f"{place.name}.search")


def conclude(search: Search, log: Log, trials: list[Trial], place: Path) -> tuple[Result, dict[str, Any]]:
    """The winner of `trials`, saved to `place`: what it achieved on the test, and what is said of it.

    What was concluded before is read, unless another trial has come to win since, or the model is gone.
    """
    folder, recipe, winner = study_of(place), search.chosen(trials), search.winner(trials)
    kept = folder / "result.npz"
    with search.study(log, folder).turn():
        found = {"trials": len(trials), "trial": asdict(winner)}
        if _is(recipe, place) and kept.is_file():
            result, about = archive.read(kept)
            if about["search"] != json.loads(json.dumps(found)):
                archive.write(result, kept, **{**about, "search": found})
            return result, {**about, "search": found}
        outcome = search.finish(log, trials)
        about = {**outcome.about(), "search": found, "cost": {"peak_mb": peak_mb()}}
        checkpoint.save(outcome.model, log, place, **about)
        archive.write(outcome.result, kept, **about)
    return outcome.result, about


def _is(recipe: Experiment, place: Path) -> bool:
    """Whether `place` holds the model of this very recipe."""
    try:
        found = json.loads((place / "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    wanted = json.loads(json.dumps(recipe.as_dict()))
    return isinstance(found, dict) and found.get("recipe") == wanted
