"""`segue run`: from a log to a trained, measured, saved model in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from segue.cli import breakdown_options as groups
from segue.cli.options import CutOffs, JsonFile, ReadingOptions, check_json, cut_offs, settings, show, write_json
from segue.cli.protocol_options import ProtocolOptions
from segue.cli.rerank_options import RerankOptions
from segue.reporting.console import say

DEFAULT, AS_THEY_ARE, ONE = ReadingOptions(), ProtocolOptions(), RerankOptions()
PROTOCOL = (
    "How to measure: leave-one-out, recbole, hgn, global-time, whole-users, session, last-day, ratings. By default "
    "leave-one-out, and session where the log brings a split of its own; items that the user has had are left out of "
    "the ranking unless the log shows that users return to items."
)


def run(
    model: str,
    data: str,
    *,
    reading: ReadingOptions = DEFAULT,
    protocol: Annotated[str | None, Parameter(help=PROTOCOL)] = None,
    questions: ProtocolOptions = AS_THEY_ARE,
    stages: RerankOptions = ONE,
    preset: str | None = None,
    set_: Annotated[
        list[str] | None, Parameter(name="--set", consume_multiple=True, negative=(), metavar="NAME=VALUE")
    ] = None,
    seed: int = 0,
    monitor: str | None = None,
    eval_every: int = 1,
    patience: int = 10,
    refit: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    rivals: bool = True,
    ahead: int = 1,
    leak: Literal["keep", "drop"] = "keep",
    by: groups.ByOption = None,
    picture: groups.Picture = None,
    k: CutOffs = None,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    json: JsonFile = None,
) -> None:
    """Train a model on a log, choose its epoch on validation, test it once, save it.

    Parameters
    ----------
    model
        sasrec, hgn, seq-knn, ...: an unknown name lists them all.
    data
        A named data set (ml-100k, ml-1m, ...), a file (CSV, TSV, Parquet, .inter), or a folder.
    preset
        A named set of settings of the model, such as paper, author or recbole for hgn.
    set_
        Settings of the model: --set embedding_dim=64 lr=0.01.
    seed
        Of the initial weights, the order of examples and the negatives.
    monitor
        The validation metric that chooses the epoch; by default ndcg@10, or rmse where ratings are predicted.
    eval_every
        Epochs between two looks at validation.
    patience
        Looks without progress before training stops.
    refit
        Train anew on train and validation for the chosen number of epochs before the test.
    rivals
        Show popularity, item-KNN and sequential item-KNN beside the model: whoever cannot beat counting should know.
    ahead
        Ask for the next so many items at each step: recall@20,5 is of the next five. Where every step is asked.
    leak
        Drop leaves out of training who shares an event (same item, same time) with what is held out.
    out
        Folder of the saved model; by default models/MODEL, of two stages models/MODEL-after-FIRST.
    """
    from segue import distributed
    from segue.evaluation.protocol import Protocol
    from segue.evaluation.table import summary, table
    from segue.experiments.experiment import Experiment
    from segue.experiments.experiment import rivals as rivals_of
    from segue.serving import saved_model
    from segue.training.state import delete_training_files

    distributed.init()
    cuts = cut_offs(k)
    check_json(json, reads=data)
    named = Protocol.named(protocol or ("session" if ahead > 1 else "leave-one-out")).at(cuts)
    named = questions.of(replace(named, ahead=ahead, leak=leak))
    groups.check(by, picture, named)
    recipe = Experiment(
        model=model,
        protocol=named,
        settings=settings(set_),
        preset=preset,
        seed=seed,
        monitor=monitor or "",
        eval_every=eval_every,
        patience=patience,
        refit=refit,
    )
    stages.first(recipe)
    folder = out or Path("models") / f"{model}{stages.name}"
    saved_model.check_target(folder)
    progress = saved_model.training_folder(folder)
    log = reading.load(data)
    if protocol is None:
        guessed = replace(Protocol.guess(log).at(cuts), ahead=ahead, leak=leak)
        recipe = replace(recipe, protocol=questions.of(guessed))
    outcome = stages.run(recipe, log, progress) if stages.rerank else recipe.run(log, folder=progress)
    names = [name for name in rivals_of(recipe.protocol) if rivals and name not in (model, stages.rerank)]
    counted = [Experiment(model=name, protocol=recipe.protocol, refit=refit, baseline=True) for name in names]
    results = [*(rival.run(log).result for rival in counted), *outcome.results]
    if distributed.rank() > 0:
        return
    about = outcome.about()
    saved_model.save(outcome.model, log, folder, training_log=progress / "training.jsonl", **about)
    delete_training_files(progress)
    metrics = recipe.protocol.shown(cuts)
    show(table(results, metrics))
    facts = {**summary(results, metrics), "recipe": about["recipe"], "training": about["training"]}
    if by is not None:
        facts[f"by {by}"] = groups.broken_down(results, metrics, outcome.split, by=by, refit=refit, picture=picture)
    write_json(json, facts)
    say(f"saved to {folder}; next: segue recommend {folder} --user {log.users.names([1])[0]}")
