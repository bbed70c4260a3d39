"""`segue search`: settings of a model chosen on validation, the winner tested once."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from segue.cli.options import CutOffs, JsonFile, ReadingOptions, check_json, cut_offs, grid, settings, show, write_json
from segue.cli.protocol_options import ProtocolOptions
from segue.cli.run import PROTOCOL
from segue.reporting.console import say

if TYPE_CHECKING:
    from rich.table import Table

    from segue.tuning.search import Search
    from segue.tuning.trial import Trial

DEFAULT, AS_THEY_ARE = ReadingOptions(), ProtocolOptions()
SHOWN = 10  # trials in the printed table


def search(
    model: str,
    data: str,
    *,
    space: Path | None = None,
    trials: int = 30,
    minutes: float | None = None,
    jobs: int = 1,
    reading: ReadingOptions = DEFAULT,
    protocol: Annotated[str | None, Parameter(help=PROTOCOL)] = None,
    questions: ProtocolOptions = AS_THEY_ARE,
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
    k: CutOffs = None,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    json: JsonFile = None,
) -> None:
    """Try settings of a model, choose on validation, train the winner once more, test it once, save it.

    Parameters
    ----------
    model
        Its name, such as hgn; a name that is none lists them all.
    data
        A named data set (ml-100k, ml-1m, ...), a file (CSV, TSV, Parquet, .inter), or a folder.
    space
        What to try: TOML (*.toml), or lines as on RecBole's pages; by default the space that the model declares.
    trials
        How many choices of settings, those of earlier calls included.
    minutes
        At most about so long, of all processes together.
    jobs
        Processes on this machine. The same command, started again while one runs, joins it too.
    preset
        A named set of settings of the model, for what is not searched.
    set_
        Settings that stay as they are: --set epochs=100.
    seed
        Of the settings that are proposed and of every training.
    monitor
        The validation metric that chooses epochs and settings.
    eval_every
        Epochs between two looks at validation.
    patience
        Looks without progress before a training stops.
    refit
        Train the winner anew on train and validation before the test.
    rivals
        Show popularity, item-KNN and sequential item-KNN beside the winner.
    out
        Folder of the saved model, by default models/MODEL; the trials are kept beside it, in models/MODEL.search.
    """
    from segue.errors import require
    from segue.evaluation.protocol import Protocol
    from segue.evaluation.table import summary, table
    from segue.experiments.experiment import Experiment
    from segue.experiments.experiment import rivals as rivals_of
    from segue.serving import saved_model
    from segue.tuning.best_model import refit_and_test, search_folder
    from segue.tuning.importance import setting_importance
    from segue.tuning.search import Search

    cuts = cut_offs(k)
    check_json(json, reads=data)
    recipe = Experiment(
        model=model,
        protocol=questions.of(Protocol.named(protocol or "leave-one-out").at(cuts)),
        settings=settings(set_),
        preset=preset,
        seed=seed,
        monitor=monitor or "",
        eval_every=eval_every,
        patience=patience,
        refit=refit,
    )
    require(minutes is None or minutes > 0, f"minutes={minutes}: must be above 0")
    require(jobs >= 1, f"jobs={jobs}: must be at least 1")
    seconds = None if minutes is None else 60 * minutes
    searched = Search(experiment=recipe, space=_space(model, space, recipe.settings), trials=trials, seconds=seconds)
    place = out or Path("models") / model
    saved_model.check_target(place)
    log = reading.load(data)
    if protocol is None:
        recipe = replace(recipe, protocol=questions.of(Protocol.guess(log).at(cuts)))
        searched = replace(searched, experiment=recipe)
    found = searched.run(log, search_folder(place), jobs=jobs)
    result, about = refit_and_test(searched, log, found, place)
    others = [name for name in rivals_of(recipe.protocol) if rivals and name != model]
    counted = [Experiment(model=name, protocol=recipe.protocol, refit=refit, baseline=True) for name in others]
    results, metrics = [*(rival.run(log).result for rival in counted), result], recipe.protocol.shown(cuts)
    importance = setting_importance(found, searched.space)
    show(_trials(found, recipe.monitor), *_importance(importance), table(results, metrics))
    _page(searched, found, search_folder(place), log.name)
    facts = {"trials": [asdict(trial) for trial in found], "importance": importance}
    write_json(json, {**summary(results, metrics), **about, "search": {**about["search"], **facts}})
    say(f"saved to {place}; next: segue recommend {place} --user {log.users.names([1])[0]}")


def _space(model: str, path: Path | None, fixed: Any) -> Any:
    from segue.models.registry import find
    from segue.tuning.space_files import read_space

    kind = find(model)
    if path is not None:
        return read_space(path, list(kind.Config.model_fields))
    return {name: domain for name, domain in kind.space.items() if name not in fixed}


def _trials(trials: list[Trial], monitor: str) -> Table:
    """The best trials, and how many there are in all."""
    from segue.tuning.report import trial_rows

    counts = {word: sum(trial.state == word for trial in trials) for word in ("pruned", "timed_out", "failed")}
    said = {"pruned": "pruned", "timed_out": "timed out", "failed": "failed"}
    ended = ", ".join(f"{n} {said[word]}" for word, n in counts.items() if n)
    title = f"{len(trials)} trials" + (f" ({ended})" if ended else "") + (f", the best {SHOWN}" * (len(trials) > SHOWN))
    return grid(trial_rows(trials, monitor)[:SHOWN], title)


def _importance(found: list[dict[str, Any]]) -> list[Table]:
    return [grid(found, "Importance of the settings: share of the variance of the trials' ranks")] if found else []


def _page(searched: Search, trials: list[Trial], folder: Path, log: str) -> None:
    """The page of the search, without pictures where they cannot be drawn."""
    from segue.errors import ConfigError
    from segue.tuning.report import write_report

    title, monitor = f"{searched.experiment.model} on {log}", searched.experiment.monitor
    try:
        written = write_report(trials, searched.space, title=title, monitor=monitor, folder=folder, pictures=True)
    except ConfigError as error:
        say(str(error))
        written = write_report(trials, searched.space, title=title, monitor=monitor, folder=folder, pictures=False)
    say(f"all trials and the importance of settings: {written}")
