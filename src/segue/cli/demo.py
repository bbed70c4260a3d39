"""`segue demo`: the whole path on MovieLens 100K in a few minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from segue.cli.options import JsonFile, check_json, show, write_json
from segue.reporting.console import say

USER = 42


def demo(*, out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("models"), json: JsonFile = None) -> None:
    """Get ml-100k, train five models, print one table, save them, let HGN recommend ten films to one user.

    Parameters
    ----------
    out
        Folder for the saved models.
    """
    from segue.cli.recommend import last_seen, pages
    from segue.data.datasets import catalog
    from segue.evaluation.protocol import Protocol
    from segue.evaluation.table import summary, table
    from segue.experiments.experiment import Experiment
    from segue.serving import saved_model
    from segue.serving.recommend import recommend

    check_json(json)
    protocol = Protocol.named("leave-one-out")
    recipes = [
        Experiment(model="pop", protocol=protocol, baseline=True),
        Experiment(model="item-knn", protocol=protocol, baseline=True),
        Experiment(model="seq-knn", protocol=protocol, baseline=True),
        Experiment(model="bprmf", protocol=protocol, baseline=True),
        # the page's settings but for the window: 5 items beat 50 on validation, in a third of the epochs
        Experiment(model="hgn", protocol=protocol, preset="recbole", settings={"window": 5, "per_row": 4, "lr": 3e-3}),
    ]
    for recipe in recipes:
        saved_model.check_target(out / recipe.model)
    log = catalog.load("ml-100k")
    outcomes = []
    for recipe in recipes:
        outcomes.append(recipe.run(log))
        saved_model.save(outcomes[-1].model, log, out / recipe.model, **outcomes[-1].about())
    results = [outcome.result for outcome in outcomes]
    show(table(results))
    saved = saved_model.load(out / "hgn")
    found = recommend(saved.model, saved.log, user=USER, k=10)
    show(*pages(found, last_seen(saved, USER, None), USER))
    write_json(json, summary(results))
    say(f"saved to {out}; next: segue recommend {out / 'hgn'} --user 7, or segue run hgn YOUR.csv")
