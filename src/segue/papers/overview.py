"""The page with all papers: a line for each table and figure, and one for each method, made from the result files.

    table     log          main method      as printed   as the paper says   best here     all figures
    Table 3   Amazon CDs   HGN, recall@10        .0426         not run yet   .0476 above   4 above, 10 one seed

A row of a result file whose name ends with a form, such as "HGN, as the paper says", has this form. A row without one
is as it does best here; it stands for the form of the paper too if its settings depart from the paper in nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segue.evaluation.rating_predictions import LOWER_IS_BETTER
from segue.models.registry import find
from segue.papers.contents import CONTENTS, NOT_AT_HAND, Entry
from segue.papers.hgn.other_logs import OTHER_LOGS
from segue.papers.printed import AS_PRINTED, BEST_HERE, RELEASED
from segue.papers.reproduction import format_figure, markdown_table
from segue.papers.verdict import ABOVE, AGREES, BELOW, NO_FIGURE, NO_INTERVAL, ONE_SEED, is_counted

FORMS = (AS_PRINTED, BEST_HERE)
NOT_RUN, NOT_RUN_HERE, DRAWN = "not run yet", "not run here", "drawn"
WORDS = (AGREES, ABOVE, BELOW, ONE_SEED, NO_INTERVAL, NOT_RUN)
COUNTED, OTHER_LOG = "counts of logs and weights", "on another log"
BEST_OTHER = "best other method"
ResultRow = Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """A figure of a method in both forms.

    Attributes:
        method: without the name of a form.
        metric: such as "recall@10".
        forms: the rows of the result file by form; a form that was not run is missing.
    """

    method: str
    metric: str
    forms: dict[str, ResultRow] = field(default_factory=dict)

    @property
    def row(self) -> ResultRow:
        """The row of any form, for what is printed."""
        return next(iter(self.forms.values()))

    @property
    def is_compared(self) -> bool:
        """Whether there is a published figure; half the width of an interval is not counted as one."""
        return self.row["published"] is not None and not f"{self.method} {self.metric}".count("±")

    def word(self, form: str) -> str:
        """Where the figure of a form is beside the published one."""
        return self.forms[form]["verdict"] if form in self.forms else NOT_RUN


class Overview:
    """The blocks of the page.

    Args:
        results: the folder of the result files.
        contents: the tables and figures to show.
    """

    def __init__(self, results: Path, contents: Sequence[Entry] = CONTENTS) -> None:
        self.results, self.contents = results, contents

    def block(self, name: str) -> str:
        """A block by its name: "words", "tables", or a paper in small letters."""
        makers = {"words": self.words, "tables": self.tables}
        return makers[name]() if name in makers else self.methods(name)

    def words(self) -> str:
        """How many of all published figures agree, by form; those of another log are counted apart."""
        counts = {name: Counter[str]() for name in (COUNTED, *FORMS, *(f"{form}, {OTHER_LOG}" for form in FORMS))}
        for entry in self.contents:
            for line in (line for line in self.lines(entry) if line.is_compared):
                if is_counted(line.row):
                    counts[COUNTED][line.row["verdict"]] += 1
                    continue
                for form in FORMS:
                    counts[form if entry.is_papers_log else f"{form}, {OTHER_LOG}"][line.word(form)] += 1
        shown = [word for word in WORDS if any(of_form[word] for of_form in counts.values())]
        return markdown_table(
            [
                ["figures", *shown],
                *([form, *(str(of_form[word] or "") for word in shown)] for form, of_form in counts.items()),
            ]
        )

    def tables(self) -> str:
        """A line for each table and figure."""
        head = ["table", "log", "main method", "as printed", *FORMS, BEST_OTHER, "all figures", "why"]
        return markdown_table([head, *(self._entry_cells(entry) for entry in self.contents)], figures=False)

    def methods(self, paper: str) -> str:
        """A table for each table of a paper whose figures are compared with published ones.

        Methods that count, and that the paper leaves out, stand above.
        """
        parts = []
        for entry in self.contents:
            if entry.paper.lower() == paper:
                lines = [line for line in self.lines(entry) if not is_counted(line.row)]
                parts += [text for metric in entry.metrics if (text := self._metric_table(entry, metric, lines))]
        return "\n".join(parts)

    def lines(self, entry: Entry) -> list[Line]:
        """The figures of a table or figure, in the order of its result file; none if there is no file."""
        result, lines = self._read(entry), dict[tuple[str, str], Line]()
        for row in result["rows"]:
            if not row["method"].endswith(RELEASED):
                method, forms = self._forms(result, row, entry)
                line = lines.setdefault((method, row["metric"]), Line(method, row["metric"]))
                for form in forms:
                    if form not in line.forms or row["method"] != method:
                        line.forms[form] = row
        return [line for line in lines.values() if line.forms]

    def _forms(self, result: Mapping[str, Any], row: ResultRow, entry: Entry) -> tuple[str, tuple[str, ...]]:
        """The method of a row without the name of a form, and the forms that the row stands for."""
        for form in FORMS:
            if row["method"].endswith(f", {form}"):
                return row["method"].removesuffix(f", {form}"), (form,)
        if entry.form or is_counted(row):
            return row["method"], (entry.form or AS_PRINTED,)
        run = _run(result, row)
        departs = run.get("departs")
        if departs is None and "departures" in result and _only_counts(run):
            departs = {}  # a baseline that counts, of which the paper prints no settings
        return row["method"], FORMS if departs == {} else (BEST_HERE,)

    def _read(self, entry: Entry) -> dict[str, Any]:
        """The rows and runs of the result files of an entry, of best here and as the paper says."""
        best, paper = self._read_file(entry.table), self._read_file(entry.paper_table)
        rows = [row for row in best.get("rows", ()) if row["part"].startswith(entry.part)]
        runs = {**best.get("runs", {}), **paper.get("runs", {})}
        return {**best, "rows": [*rows, *paper.get("rows", ())], "runs": runs}

    def _read_file(self, table: str) -> dict[str, Any]:
        """The content of a result file; empty if there is none."""
        path = self.results / f"{table}.json"
        if not table or not path.is_file():
            return {}
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {**content, "rows": list(_command_rows(content))} if "metrics" in content else content

    def _entry_cells(self, entry: Entry) -> list[str]:
        result, lines = self._read(entry), self.lines(entry)
        metric = entry.metrics[0]
        main = next((line for line in lines if (line.method, line.metric) == (entry.method, metric)), None)
        title = f"{entry.paper}, [{entry.title}]({entry.section}): {entry.shows}"
        drawn = DRAWN if entry.is_drawn else ""
        if main is None:
            printed = _published_elsewhere(entry)
            name = f"{entry.method}, {metric}" if printed else ""
            run = NOT_RUN_HERE if entry.remark == NOT_AT_HAND else ""
            return [title, entry.log, name, printed or drawn, run, run, "", "", entry.remark]
        cells = ["" if _is_single(entry, main) and form not in main.forms else _cell(main, form) for form in FORMS]
        why = [*_departures(result, main), entry.remark]
        return [
            *(title, entry.log, f"{main.method}, {metric}", _printed(main.row) or drawn, *cells),
            *(_best_other(main, lines), _count(lines), "; ".join(filter(None, why))),
        ]

    def _metric_table(self, entry: Entry, metric: str, lines: Iterable[Line]) -> str:
        """The figures of a metric, method by method; empty if none is compared."""
        of_metric, result = [line for line in lines if line.metric == metric], self._read(entry)
        compared = [line for line in of_metric if line.is_compared]
        counting = [line for line in of_metric if not line.is_compared and _only_counts(_run(result, line.row))]
        rows = [[line.method, "", "", _cell(line, BEST_HERE, interval=True)] for line in counting]
        for line in compared:
            rows.append([line.method, _printed(line.row), *(_cell(line, form, interval=True) for form in FORMS)])
        title = f"**[{entry.title}]({entry.section}), {entry.log}**"
        return f"{title}\n\n{markdown_table([[metric, 'as printed', *FORMS], *rows])}" if compared else ""


def _command_rows(content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of a file of commands in the form of those of a reproduction; it has no published figures."""
    for row in content["rows"]:
        for metric, figure in row["figures"].items():
            seeds = figure.get("runs", [figure["mean"]])
            yield {
                **{"method": row["name"], "metric": metric, "measured": figure["mean"], "seeds": seeds},
                **{
                    "error": None,
                    "interval": None,
                    "published": None,
                    "other_logs": {},
                    "part": "",
                    "verdict": NO_FIGURE,
                },
            }


def _run(result: Mapping[str, Any], row: ResultRow) -> Mapping[str, Any]:
    """How the method of a row was run; empty if the file does not say it."""
    runs = result.get("runs", {})
    run: Mapping[str, Any] = runs.get(row["part"], runs).get(row["method"], {})
    return run


def _only_counts(run: Mapping[str, Any]) -> bool:
    """Whether a method has no seed, as those that count."""
    return "model" in run and not find(run["model"]).depends_on_seed


def _is_single(entry: Entry, line: Line) -> bool:
    """Whether there is only one form: of what is counted, and of what has no settings."""
    return bool(entry.form) or is_counted(line.row)


def _cell(line: Line, form: str, *, interval: bool = False) -> str:
    """A figure, its interval, and the word."""
    if form not in line.forms:
        return NOT_RUN
    row = line.forms[form]
    text = format_figure(row["measured"], line.metric)
    if interval and row["interval"] is not None:
        ends = "–".join(format_figure(end, line.metric) for end in row["interval"])
        text += f" ({ends}{', seeds alone' if row['error'] is None else ''})"
    return text if row["verdict"] == NO_FIGURE else f"{text} {row['verdict']}"


def _printed(row: ResultRow) -> str:
    """The published figure, or those of other logs."""
    metric = row["metric"]
    if row["published"] is not None:
        return format_figure(row["published"], metric)
    others = {name: value for name, value in row["other_logs"].items() if metric in name} or row["other_logs"]
    named = ((name.replace(metric, "").replace("published", "").strip(" ,"), value) for name, value in others.items())
    return "; ".join(f"{format_figure(value, metric)} ({name})" for name, value in named)


def _published_elsewhere(entry: Entry) -> str:
    """The published figure of a log that is not at hand."""
    published = {other.name: other.recall[-1] for other in OTHER_LOGS}
    return format_figure(published.get(entry.table), entry.metrics[0])


def _best_other(main: Line, lines: Iterable[Line]) -> str:
    """The best figure of another method."""
    metric = main.metric
    if is_counted(main.row) or not ("@" in metric or metric.partition(",")[0] in ("auc", *LOWER_IS_BETTER)):
        return ""
    others = [
        row for line in lines if line.metric == metric and line.method != main.method for row in line.forms.values()
    ]
    if not others:
        return ""
    best = min if metric.partition(",")[0] in LOWER_IS_BETTER else max
    row = best(others, key=lambda row: row["measured"])
    return f"{format_figure(row['measured'], metric)} {row['method']}"


def _count(lines: Iterable[Line]) -> str:
    """How many published figures of a table agree, by form; a form that was not run at all is left out."""
    compared = [line for line in lines if line.is_compared]
    if compared and all(is_counted(line.row) for line in compared):
        return _count_text(line.row["verdict"] for line in compared)
    texts = {form: _count_text(line.word(form) for line in compared) for form in FORMS if _is_run(compared, form)}
    return texts[BEST_HERE] if [*texts] == [BEST_HERE] else "; ".join(f"{form}: {text}" for form, text in texts.items())


def _is_run(lines: Iterable[Line], form: str) -> bool:
    return any(form in line.forms for line in lines)


def _count_text(words: Iterable[str]) -> str:
    counts = Counter(words)
    return ", ".join(f"{counts[word]} {'agree' if word == AGREES else word}" for word in WORDS if counts[word])


def _departures(result: Mapping[str, Any], line: Line) -> list[str]:
    """In how many settings each form departs from the paper."""
    texts = []
    for form, row in line.forms.items():
        run = _run(result, row)
        if "departs" in run:
            number = len(run["departs"])
            texts.append(f"{form} departs in {number} setting{'s' if number != 1 else ''}")
        elif run:
            texts.append(f"{form}: what departs is on the page")
    return list(dict.fromkeys(texts))
