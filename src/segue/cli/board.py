"""`segue board`: the same models on several logs and protocols with equal budgets, as one page and one JSON file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from segue.cli.board_page import lists_notes, write_board_page
from segue.cli.check_outputs import check_folder_of_files, check_outputs, source_files
from segue.cli.compare import chosen_models, comparison_plan, split_names
from segue.cli.help import BUDGET_GROUP, MODEL_GROUP, OUTPUT_GROUP
from segue.cli.options.protocol import PROTOCOL_DEFAULTS, ProtocolOptions
from segue.cli.options.reading import READING_DEFAULTS, ReadingOptions
from segue.cli.options.tie_range import TieRangeOptions
from segue.cli.options.training import TRAINING_DEFAULTS, BudgetOptions, TrainingOptions
from segue.cli.output import OUTPUT_DEFAULTS, OutputOptions, charts_in, show, write_json_output
from segue.cli.unread_columns import say_unread
from segue.errors import ConfigError
from segue.reporting.console import say

if TYPE_CHECKING:
    from segue.data.log import Log
    from segue.experiments.lists import Lists
    from segue.tuning.board import BoardTable
    from segue.tuning.comparison import Comparison

CHEAP = "pop,recent-pop,item-knn,seq-knn,vs-knn,stan"
FOLDER = Path("board")


@Parameter(name="*", group=BUDGET_GROUP)
@dataclass(frozen=True, kw_only=True)
class BoardBudgetOptions:
    """What each model may take on each log.

    Attributes:
        trials: Number of trials for each model, including those of earlier calls.
        minutes_per_model: Limit, in minutes, on the time of the trials, the last training and the test of a model. What
            a model does not need goes to later ones.
        jobs: Number of models that are tuned at the same time.
    """

    trials: int = 10
    minutes_per_model: float = 4.0
    jobs: int = 1


BUDGET_DEFAULTS = BoardBudgetOptions()
ListsOption = Annotated[
    list[str] | None,
    Parameter(
        name="--lists",
        group=MODEL_GROUP,
        negative=(),
        consume_multiple=True,
        show_default=False,
        metavar="[TABLE=]FILE",
        help="Measure lists that were made elsewhere, beside the models: a file (Parquet, CSV, TSV) with the columns "
        "user, item and rank, and num_events where a user has several test instances. The name of the file is that of "
        "the row. With several logs or protocols, say which of them: --lists ml-100k=theirs.parquet.",
    ),
]
TiesOption = Annotated[
    int,
    Parameter(
        name="--tie-range",
        group=OUTPUT_GROUP,
        help="Number of random orders of the events with the same time, over which the lowest and the highest figure "
        "of each model are shown; 0 for none. Logs without such events need none.",
    ),
]


def board(
    *logs: str,
    models: Annotated[str, Parameter(group=MODEL_GROUP)] = CHEAP,
    exclude: Annotated[str, Parameter(group=MODEL_GROUP)] = "",
    lists: ListsOption = None,
    budget: BoardBudgetOptions = BUDGET_DEFAULTS,
    training: TrainingOptions = TRAINING_DEFAULTS,
    protocol: ProtocolOptions = PROTOCOL_DEFAULTS,
    reading: ReadingOptions = READING_DEFAULTS,
    tie_range: TiesOption = 5,
    output: OutputOptions = OUTPUT_DEFAULTS,
) -> None:
    """Compare models on several logs with equal budgets, and write one page with all figures, intervals and costs.

    Each log has its table, and with --protocol A,B one for each protocol. The page, its JSON and the models are saved
    to the folder board.

    Args:
        logs: Named data sets (ml-100k, ml-1m, ...), files or folders.
        models: Names of models, separated by commas, or classes of your own. The name all stands for every built-in
            model that ranks items.
        exclude: Names of models to leave out, separated by commas.
    """
    from segue.tuning.optuna_space import import_optuna

    protocols: list[str | None] = [*split_names(protocol.protocol or "")] or [None]
    _check_options(logs, protocols, training, tie_range)
    folder, names = output.out or FOLDER, chosen_models(models, exclude)
    inputs = [path for log in logs for path in reading.paths(log)]
    inputs += [*source_files(*split_names(models)), *(_list_file(word)[1] for word in lists or ())]
    check_outputs({"--json": output.json}, folder, inputs=inputs)
    check_folder_of_files(f"--out {folder}", folder)
    options = [replace(protocol, protocol=name) for name in protocols]
    plans = [_plan(names, one, budget, training) for one in options]
    import_optuna()
    charts = charts_in("board.html")
    tables = [
        _table(log, replace(plan, protocol=one.for_log(log)), tie_range, protocol.cut_offs)
        for log in map(reading.load, logs)
        for plan, one in zip(plans, options, strict=True)
    ]
    tables = _with_lists(tables, lists or ())
    _check_tables(tables, folder, reading)
    measured: list[dict[str, Any]] = []
    for number, table in enumerate(tables, start=1):
        say(f"table {number} of {len(tables)}: {table.name}")
        measured.append(_measure(table, folder))
        _write(measured, folder, output.json, charts=charts)
    say(f"board: {folder / 'board.html'} and {folder / 'board.json'}; the same command resumes it")


def _check_options(
    logs: Sequence[str], protocols: Sequence[str | None], training: TrainingOptions, tie_range: int
) -> None:
    if not logs:
        raise ConfigError("no log given: name data sets, files or folders, such as segue board ml-100k events.csv")
    for what, given in (("log", logs), ("protocol", protocols)):
        twice = next((one for one in given if given.count(one) > 1), None)
        if twice is not None:
            raise ConfigError(f"{twice} is given twice; a board has each {what} once")
    if training.final:
        raise ConfigError("--final: a board measures models and fits none on the whole log; use `segue compare`")
    if tie_range:
        TieRangeOptions(tie_range=tie_range).check()


def _plan(
    names: tuple[str, ...], protocol: ProtocolOptions, budget: BoardBudgetOptions, training: TrainingOptions
) -> Comparison:
    """The comparison of every log, as far as it is known before the log is read."""
    from segue.tuning.workers import check_jobs

    check_jobs(budget.jobs)
    if not 0 < budget.minutes_per_model < float("inf"):
        raise ConfigError(f"--minutes-per-model {budget.minutes_per_model:g}: must be above 0")
    minutes = budget.minutes_per_model * len(names) / budget.jobs
    shared = BudgetOptions(trials=budget.trials, minutes=minutes, jobs=budget.jobs)
    return comparison_plan(names, protocol.without_log(), shared, training)


def _table(log: Log, plan: Comparison, orders: int, cut_offs: Sequence[int]) -> BoardTable:
    from segue.tuning.board import BoardTable

    metrics = plan.protocol.table_metrics(cut_offs)
    return BoardTable(log=log, comparison=plan, metrics=tuple(metrics), orders=orders)


def _with_lists(tables: Sequence[BoardTable], words: Iterable[str]) -> list[BoardTable]:
    """The tables with the lists that were made elsewhere."""
    from segue.experiments.lists import read_lists

    added: dict[str, list[Lists]] = {table.name: [] for table in tables}
    for word in words:
        name, file = _list_file(word)
        fitting = [table for table in tables if name in ("", table.log.name, table.name, table.folder_name)]
        if len(fitting) != 1:
            known = ", ".join(table.folder_name for table in tables)
            raise ConfigError(
                f"--lists {word}: {'fits several tables' if fitting else 'there is no such table'}; write TABLE=FILE, "
                f"where TABLE is one of {known}"
            )
        added[fitting[0].name].append(read_lists(file, fitting[0].log, file.stem))
    return [replace(table, lists=tuple(added[table.name])) for table in tables]


def _list_file(word: str) -> tuple[str, Path]:
    """The table and the file of a word after --lists; "" for the only table."""
    name, equals, file = word.partition("=")
    return (name, Path(file)) if equals and not Path(word).exists() else ("", Path(word))


def _check_tables(tables: Sequence[BoardTable], folder: Path, reading: ReadingOptions) -> None:
    """Find what cannot be measured or saved, before anything is trained."""
    from segue.folders import check_folder
    from segue.serving.saved_model import check_target

    places = [table.folder_name for table in tables]
    twice = next((place for place in places if places.count(place) > 1), None)
    if twice is not None:
        raise ConfigError(f"two tables are called {twice}; give one of the logs another name, or each its own board")
    for table in tables:
        _check_tie_range(table)
        check_folder(folder / table.folder_name, "comparison")
        searches = [table.comparison.search(name) for name in table.comparison.references]
        searches[0].split(table.log)
        for name in table.comparison.references:
            check_target(folder / table.folder_name / name)
        say_unread(reading, [one.experiment for one in searches], {name for one in searches for name in one.space})
        _ = table.listed


def _check_tie_range(table: BoardTable) -> None:
    from segue.experiments.tie_range import has_ties

    if table.orders and table.comparison.protocol.trains_anew and has_ties(table.log):
        raise ConfigError(
            f"{table.name}: events of a user have the same time, and models are not trained anew, as --retrain asks "
            "for, in other orders of them; write --tie-range 0"
        )


def _measure(table: BoardTable, folder: Path) -> dict[str, Any]:
    """Run or resume a table and show it; what the board says of it."""
    from segue.evaluation.table import table as figures

    results, facts = table.run(folder)
    notes = [note for row in facts["models"] if row["made_by"] == "elsewhere" for note in lists_notes(row, facts)]
    left_out = [f"{name} is left out: {reason}" for name, reason in facts["left_out_models"].items()]
    show(f"\n{table.name}", figures(results, table.metrics), *notes, *left_out)
    return facts


def _write(measured: Sequence[dict[str, Any]], folder: Path, json: Path | None, *, charts: bool) -> None:
    """Write the board as far as it is measured."""
    from segue.tuning.board import gather

    content = gather(measured)
    for path in (folder / "board.json", json):
        write_json_output(path, content)
    write_board_page(content, folder / "board.html", pictures=charts)
