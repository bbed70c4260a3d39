"""`PrintedTable`: a table with its methods as the paper says, each of which can be run alone.

segue reproduce hgn-table3-paper --methods HGN SASRec --json results/hgn-table3-paper.json

Its notes hold for whichever methods were run, so a result file can grow method by method: see
`segue.papers.growing_result`. What is of one method stands in its rows and in its run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

from segue.data.datasets import catalog
from segue.errors import ConfigError, unknown
from segue.evaluation.protocol import Protocol
from segue.evaluation.task import can_measure
from segue.papers.departures import departures
from segue.papers.methods import QUICK_EPOCHS, Method, MethodResult, run_details, run_methods
from segue.papers.printed import AS_PRINTED
from segue.papers.reproduction import Reproduction, Row
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
class PrintedTable:
    """The methods of a paper's table with its printed settings.

    Attributes:
        title: of the table.
        log: its name in the catalogue.
        log_title: as it is shown.
        protocol: of all methods.
        methods: in the order of the table; their names end in ", as the paper says".
        metrics: of the rows; a method has those that can be measured of it.
        notes: on the log and the settings; true for whichever methods were run.
    """

    title: str
    log: str
    log_title: str
    protocol: Protocol
    methods: tuple[Method, ...]
    metrics: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def reproduce(self, *, runs: RunCache, quick: bool = False, methods: Sequence[str] = ()) -> Reproduction:
        """Train and test the named methods, by default all of them."""
        chosen = self.select(methods)
        results = run_methods(chosen, catalog.load_log(self.log), runs, epochs=QUICK_EPOCHS if quick else None)
        details = run_details(results, self.log, quick=quick)
        more = {  # a file may have methods of several versions
            method.name: {"refit": method.experiment.refit, "version": version("segue")} for method in chosen
        }
        quick_note = f"QUICK: one seed, at most {QUICK_EPOCHS} epoch. These figures cannot be compared with the paper."
        return Reproduction(
            title=self.title,
            rows=tuple(row for result in results for row in self._rows(result)),
            notes=(*[quick_note] * quick, self.protocol.describe(), *self.notes, *NOTES),
            departures=departures({self.log_title: [result.method for result in results]}),
            details={
                "methods": [method.name for method in self.methods],
                **details,
                "runs": {name: {**run, **more[name]} for name, run in details["runs"].items()},
            },
        )

    def select(self, names: Sequence[str]) -> tuple[Method, ...]:
        """The methods of these names, with or without that of their form, in the order of the table; of none all.

        Raises:
            ConfigError: there is no such method.
        """
        by_name = {method.name.removesuffix(f", {AS_PRINTED}"): method for method in self.methods}
        wanted = [name.removesuffix(f", {AS_PRINTED}") for name in names]
        for name in wanted:
            if name not in by_name:
                raise ConfigError(unknown("method", name, by_name))
        return tuple(method for name, method in by_name.items() if name in wanted or not names)

    def _rows(self, result: MethodResult) -> list[Row]:
        metrics = [metric for metric in self.metrics if can_measure(result.runs[0].predictions, metric)]
        rows = [result.row(metric) for metric in metrics]
        if isinstance(result.method, Method) and result.selection.epochs:
            numbers = {EPOCHS: result.selection.epochs, MOST_EPOCHS: result.method.epochs}
            rows += [Row(method=result.method.name, metric=key, measured=(float(n),)) for key, n in numbers.items()]
        return rows
