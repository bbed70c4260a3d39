"""`PrintedTable`: a table with its methods as the paper says, each of which can be run alone.

segue reproduce hgn-table3-paper --methods HGN SASRec --json results/hgn-table3-paper.json

Its notes hold for whichever methods were run, so a result file can grow method by method: see
`segue.papers.growing_result`. What is of one method stands in its rows and in its run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version

from segue.data.datasets import catalog
from segue.errors import ConfigError, unknown
from segue.evaluation.protocol import Protocol
from segue.evaluation.task import can_measure
from segue.papers.departures import departures
from segue.papers.methods import QUICK_EPOCHS, Method, MethodResult, run_details, run_methods
from segue.papers.printed import AS_PRINTED, name_in_paper
from segue.papers.reproduction import Draw, Picture, Reproduction, Row
from segue.papers.run_cache import RunCache

EPOCHS, MOST_EPOCHS = "epochs", "epochs allowed"  # the metrics of the rows with the number of epochs
NOTES = (
    "Each method has the settings that the paper prints. The list below says where it departs from them, and what the "
    "paper leaves open, with the values here.",
    "The number of epochs is chosen on validation, among those allowed. A method that reaches them may gain from more.",
    "Figures of several seeds are means. One seed has no interval, and so no word. A method that is not in the table "
    "was not run.",
)


@dataclass(frozen=True, kw_only=True)
class BaselineRows:
    """Rows of methods that are compared with baselines of the same table, which are run whenever such a method is.

    Attributes:
        baselines: the names of the methods that are compared with.
        methods: the names of those that are compared.
        make: gives the rows of some results, from them and from the results of the baselines.
    """

    baselines: tuple[str, ...]
    methods: tuple[str, ...]
    make: Callable[[Sequence[MethodResult], Sequence[MethodResult]], Sequence[Row]]


@dataclass(frozen=True, kw_only=True)
class PrintedTable:
    """The methods of a paper's table with its printed settings.

    Attributes:
        title: of the table.
        log: its name in the catalogue.
        log_title: as it is shown.
        protocol: of all methods.
        methods: in the order of the table; their names end in ", as the paper says".
        metrics: of the rows; a method has those that can be measured of it.
        more_rows: further rows of a method by itself.
        beside_baselines: further rows, of methods that are compared with others of the table.
        draw: makes the pictures of best here, from rows whose methods have the names of best here.
        notes: on the log and the settings; true for whichever methods were run.
    """

    title: str
    log: str
    log_title: str
    protocol: Protocol
    methods: tuple[Method, ...]
    metrics: tuple[str, ...]
    more_rows: Callable[[MethodResult], Iterable[Row]] | None = None
    beside_baselines: BaselineRows | None = None
    draw: Draw | None = None
    notes: tuple[str, ...] = ()

    def reproduce(self, *, runs: RunCache, quick: bool = False, methods: Sequence[str] = ()) -> Reproduction:
        """Train and test the named methods, by default all of them."""
        chosen = self.select(methods)
        results, baselines = self._run(chosen, runs, quick=quick)
        beside = self.beside_baselines
        compared = beside.make(results, baselines) if beside is not None and baselines else ()
        names = [method.name for method in self.methods]
        rows = (*self._rows(results), *compared, *_epoch_rows(results))
        rows = tuple(sorted(rows, key=lambda row: names.index(row.method)))
        details = run_details(results, self.log, quick=quick)
        more = {  # a file may have methods of several versions
            method.name: {"refit": method.experiment.refit, "version": version("segue")} for method in chosen
        }
        quick_note = f"QUICK: one seed, at most {QUICK_EPOCHS} epoch. These figures cannot be compared with the paper."
        return Reproduction(
            title=self.title,
            rows=rows,
            notes=(*[quick_note] * quick, self.protocol.describe(), *self.notes, *NOTES),
            departures=departures({self.log_title: [result.method for result in results]}),
            pictures=self._draw(rows),
            draw=self._draw,
            details={
                "methods": names,
                **details,
                "runs": {name: {**run, **more[name]} for name, run in details["runs"].items()},
            },
        )

    def select(self, names: Sequence[str]) -> tuple[Method, ...]:
        """The methods of these names, with or without that of their form, in the order of the table; of none all.

        Raises:
            ConfigError: there is no such method.
        """
        by_name = {name_in_paper(method.name): method for method in self.methods}
        wanted = [name_in_paper(name) for name in names]
        for name in wanted:
            if name not in by_name:
                raise ConfigError(unknown("method", name, by_name))
        return tuple(method for name, method in by_name.items() if name in wanted or not names)

    def _draw(self, rows: Sequence[Row]) -> tuple[Picture, ...]:
        """The pictures of the rows; their names and titles have that of the form, the methods in them have not."""
        if self.draw is None:
            return ()
        drawn = self.draw([replace(row, method=name_in_paper(row.method)) for row in rows])
        return tuple(picture_as_printed(picture) for picture in drawn if picture.rows)

    def _run(
        self, chosen: Sequence[Method], runs: RunCache, *, quick: bool
    ) -> tuple[list[MethodResult], list[MethodResult]]:
        """The results of the chosen methods, and those of the baselines if one of the chosen is compared with them."""
        names, beside = {method.name for method in chosen}, self.beside_baselines
        baselines = beside.baselines if beside is not None and names & {*beside.methods} else ()
        run = [method for method in self.methods if method.name in names or method.name in baselines]
        results = run_methods(run, catalog.load_log(self.log), runs, epochs=QUICK_EPOCHS if quick else None)
        return (
            [result for result in results if result.method.name in names],
            [result for result in results if result.method.name in baselines],
        )

    def _rows(self, results: Sequence[MethodResult]) -> list[Row]:
        rows = []
        for result in results:
            metrics = [metric for metric in self.metrics if can_measure(result.runs[0].predictions, metric)]
            rows += [result.row(metric) for metric in metrics]
            rows += () if self.more_rows is None else self.more_rows(result)
        return rows


def picture_as_printed(picture: Picture) -> Picture:
    """A picture of best here with the name of the paper's form in its own name and in its title."""
    title = f"{picture.encoding['title']}, {AS_PRINTED}"
    return replace(picture, name=f"{picture.name}-paper", encoding={**picture.encoding, "title": title})


def _epoch_rows(results: Sequence[MethodResult]) -> list[Row]:
    rows = []
    for result in results:
        if isinstance(result.method, Method) and result.selection.epochs:
            numbers = {EPOCHS: result.selection.epochs, MOST_EPOCHS: result.method.epochs}
            rows += [Row(method=result.method.name, metric=key, measured=(float(n),)) for key, n in numbers.items()]
    return rows
