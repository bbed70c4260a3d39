"""The page of a board, made from the content of its JSON file alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from segue.errors import DataError
from segue.reporting.console import say
from segue.reporting.numbers import MISSING, metric_text, number_text, percent_text, seconds_text, setting_text
from segue.reporting.sortable_table import SORTING, Heading, SortableTable, SortCell

Row = Mapping[str, Any]
INTRODUCTION = (
    "Each table is one log under one protocol: the same test instances for all models, and for each model the same "
    "number of trials and the same share of time. Settings and epochs were chosen on validation; the best of each "
    "model was tested once. Click a heading to sort, or go to it with Tab and press Enter."
)
P_TESTS = "paired t test, Holm-corrected for all comparisons of the table"


def write_board_page(board: Row, path: Path, *, pictures: bool) -> Path:
    """Write the page, and with pictures one `.svg` for each table beside it.

    Args:
        board: the content of `board.json`.
        path: of the page.
        pictures: whether to draw the figures against their cost. If that fails, the page is written without them.
    """
    from segue.reporting.html import write_page

    sections: list[tuple[str, list[Any]]] = [("What this is", [INTRODUCTION, f"Made with segue {board['segue']}."])]
    for table in board["tables"]:
        chart = _picture(table, path.with_name(f"{table['folder']}.svg")) if pictures else []
        sections.append((table["name"], [*_about(table), board_table(table), *chart, *_notes(table)]))
    sections[-1][1].append(SORTING)
    return write_page("A board of sequential recommenders", sections, path)


def headline(table: Row) -> str:
    """The metric that is compared first: the one that chose on validation, if the table has it."""
    metrics = list(table["models"][0]["metrics"])
    return table["monitor"] if table["monitor"] in metrics else metrics[0]


def board_table(table: Row) -> SortableTable:
    """All figures of a table of the board, each with what it is sorted by."""
    columns = _columns(table)
    rows = [[cell(row) for _, cell in columns] for row in table["models"]]
    caption = f"{table['name']}: figures on the test data, below each its {table['confidence']:.0%} interval"
    return SortableTable([heading for heading, _ in columns], rows, caption)


def _columns(table: Row) -> list[tuple[Heading, Callable[[Row], SortCell]]]:
    metric = headline(table)
    coverage = next(name for name in table["models"][0] if name.startswith("coverage@"))
    columns: list[tuple[Heading, Callable[[Row], SortCell]]] = [
        (Heading("model", rising=True), lambda row: SortCell(row["model"], row["model"], _origin(row))),
        *((Heading(name), _metric_cell(name)) for name in table["models"][0]["metrics"]),
        (
            Heading(f"{metric}: difference", f"from the best baseline, with its interval and p ({P_TESTS})"),
            _against(metric),
        ),
    ]
    if table["orders"]:
        meaning = f"lowest and highest figure over {table['orders']} random orders of events with the same time"
        columns.append((Heading(f"{metric}: tie range", meaning), _tie_cell(metric)))
    if table["cold"]["instances"]:
        meaning = f"over the {table['cold']['instances']:,} instances whose target has no training event"
        columns.append((Heading(f"{metric}: cold targets", meaning), _cold_cell(metric)))
    columns += [
        (Heading(coverage, "share of the items that at least one list has"), _plain(coverage, percent_text)),
        (_cost("tuning, CPU s", "all trials with their validations"), _plain("tuning_cpu_seconds", seconds_text)),
        (_cost("training, CPU s", "of the tested model"), _plain("cpu_seconds", seconds_text)),
        (
            _cost("answer, CPU ms", "ranking all items for one test instance, in blocks"),
            _plain("answer_cpu_ms", number_text),
        ),
        (
            _cost("peak MB", "of the process that trained and tested it, with torch and the log"),
            _plain("peak_mb", number_text),
        ),
        (Heading("trials", "settings that were tried; a small space has fewer points"), _trials_cell),
        (Heading("settings", "chosen on validation, to three digits", rising=True), _settings_cell),
    ]
    return columns


def _cost(name: str, meaning: str) -> Heading:
    return Heading(name, meaning, rising=True)


def _origin(row: Row) -> str:
    return "made elsewhere: its cost is unknown" if row["made_by"] == "elsewhere" else ""


def _metric_cell(name: str) -> Callable[[Row], SortCell]:
    def cell(row: Row) -> SortCell:
        found = row["metrics"][name]
        tested = found.get("against", {"stars": "", "difference": 0.0})
        marks = tested["stars"] if tested["difference"] >= 0 else tested["stars"].replace("*", "▾")
        return SortCell(f"{metric_text(found['mean'])} {marks}".strip() + f"\n{_interval(found)}", found["mean"])

    return cell


def _against(metric: str) -> Callable[[Row], SortCell]:
    def cell(row: Row) -> SortCell:
        tested = row["metrics"][metric].get("against")
        if tested is None:
            return SortCell(MISSING, None)
        text = f"{tested['difference']:+.4f} from {tested['model']}\n{tested['low']:+.4f} to {tested['high']:+.4f}"
        return SortCell(f"{text}, {_p_text(tested['p_holm'])}", tested["difference"])

    return cell


def _p_text(p: float) -> str:
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("= 0.", "= .")


def _tie_cell(metric: str) -> Callable[[Row], SortCell]:
    def cell(row: Row) -> SortCell:
        found = row["tie_range"]
        if found is None:
            return SortCell(MISSING, None)
        low, high = found["low"][metric], found["high"][metric]
        known = f"\n{percent_text(found['trained_on'])} known" if found["trained_on"] is not None else ""
        return SortCell(f"{metric_text(low)}–{metric_text(high)}{known}", high - low)

    return cell


def _cold_cell(metric: str) -> Callable[[Row], SortCell]:
    def cell(row: Row) -> SortCell:
        found = (row["cold"] or {}).get(metric)
        return SortCell(MISSING, None) if found is None else SortCell(_two_lines(found), found["mean"])

    return cell


def _plain(name: str, text: Callable[[float | None], str]) -> Callable[[Row], SortCell]:
    return lambda row: SortCell(text(row[name]), row[name])


def _trials_cell(row: Row) -> SortCell:
    counts = row.get("trials")
    if counts is None:
        return SortCell(MISSING, None)
    run, of = counts["run"], counts["of"]
    return SortCell(f"{run}" if run >= of else f"{run} of {of}", run)


def _settings_cell(row: Row) -> SortCell:
    if row["made_by"] == "elsewhere":
        return SortCell("made elsewhere", "made elsewhere")
    chosen = {**row["settings"], **({"epochs": row["epochs"]} if row["epochs"] else {})}
    text = " ".join(f"{name}={setting_text(value)}" for name, value in chosen.items()) or "none"
    return SortCell(text, text)


def _two_lines(figure: Row) -> str:
    return f"{metric_text(figure['mean'])}\n{_interval(figure)}"


def _interval(figure: Row) -> str:
    return f"{metric_text(figure['low'])}–{metric_text(figure['high'])}"


def _about(table: Row) -> list[str]:
    protocol, data, budget = table["protocol"], table["data"], table["budget"]
    left_out = ", ".join(f"{n:,} {reason}" for reason, n in table["left_out"].items())
    return [
        f"{data['events']:,} events of {data['users']:,} users and {table['items']:,} items (log {table['log']}); "
        f"{table['instances']:,} test instances of {table['users']:,} users"
        + (f"; left out: {left_out}." if left_out else "."),
        f"Protocol {protocol['name']} ({protocol['fingerprint']}). {protocol['sentence']}",
        f"Budget: {budget['trials']} trials and {budget['minutes_per_model']:g} minutes for each model, "
        f"with {budget['jobs']} at a time, seed {budget['seed']}; {table['monitor']} on validation chose"
        + ("; the tested models were trained on the validation part too." if table["refit"] else "."),
    ]


def _notes(table: Row) -> list[str]:
    """What has to be known beside the figures."""
    names = ", ".join(table["baselines"])
    reference = f"the best baseline of the column ({names})" if names else "the best of the column"
    notes = [
        f"* ** *** better, ▾ ▾▾ ▾▾▾ worse than {reference}, p < .05, .01, .001 ({P_TESTS}: {table['comparisons']}).",
        f"Best on validation: {table['best_on_validation']}.",
        *(f"Warning: {warning}." for warning in table["warnings"]),
        *(f"{name} is left out: {reason}." for name, reason in table["left_out_models"].items()),
    ]
    if table["orders"]:
        notes.append(
            f"Tie range: over {table['orders']} random orders of the events of a user with the same time. Models that "
            "count were trained again. Others were not: beside their range stands the share of targets that they know "
            "from training."
        )
    for row in table["models"]:
        if row["made_by"] == "elsewhere":
            notes += lists_notes(row, table)
    return notes


def lists_notes(row: Row, table: Row) -> list[str]:
    """What has to be known about lists that were made elsewhere."""
    deepest = max(int(name.partition("@")[2].partition(",")[0]) for name in table["models"][0]["metrics"])
    notes = [f"{row['model']} was made elsewhere: it is measured like all others, and what it cost is unknown."]
    if row["shortest_list"] < deepest:
        notes.append(
            f"The shortest list of {row['model']} has {row['shortest_list']:,} items, and the deepest cut-off is "
            f"{deepest}: a target below the end of a list counts as a miss."
        )
    if row["unused_lists"]:
        notes.append(f"{row['unused_lists']:,} lists of {row['model']} belong to no test instance and were not read.")
    return notes


def _picture(table: Row, path: Path) -> list[Any]:
    """The headline metric against the CPU seconds of tuning and training; none if charts cannot be drawn."""
    from segue.reporting import chart_files, charts

    metric, cost = headline(table), "tuning and training, CPU s"
    points = [
        {"model": row["model"], cost: max(0.01, row["total_cpu_seconds"]), metric: figure["mean"], **_bounds(figure)}
        for row in table["models"]
        if row["total_cpu_seconds"] is not None
        for figure in [row["metrics"][metric]]
    ]
    if not points:
        return []
    title = f"{table['name']}: {metric} against its cost"
    try:
        chart = charts.scatter_chart(
            points, x=cost, y=metric, label="model", between=("low", "high"), title=title, log="x"
        )
        chart_files.save_chart(chart, path)
    except DataError as error:
        say(str(error))
        return []
    return [chart]


def _bounds(figure: Row) -> dict[str, float]:
    return {"low": figure["low"], "high": figure["high"]}
