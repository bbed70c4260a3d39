"""`TieRangeOptions`: the figures of the models over random orders of the events with the same time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cyclopts import Parameter

from segue.cli.help import OUTPUT_GROUP
from segue.cli.output import grid
from segue.errors import ConfigError, DataError
from segue.reporting.numbers import metric_text

if TYPE_CHECKING:
    from segue.data.log import Log
    from segue.evaluation.protocol import Protocol
    from segue.evaluation.result import Result
    from segue.models.base.model import Model

MAX_ORDERS = 10_000  # of one command
CERTAIN = "No two events of a user have the same time, so there is no other order; --tie-range changes nothing."


@Parameter(name="*", group=OUTPUT_GROUP)
@dataclass(frozen=True, kw_only=True)
class TieRangeOptions:
    """Whether the figures are also shown over other orders of the events with the same time.

    Attributes:
        tie_range: Show the lowest and the highest figure over this number of random orders of the events that have the
            same time, which the log cannot order.
    """

    tie_range: int | None = None

    @property
    def words(self) -> list[str]:
        """The option, if it is given."""
        return [] if self.tie_range is None else ["--tie-range"]

    def check(self, protocol: Protocol | None = None, *, final: bool = False, seeds: int = 1) -> None:
        """Find wrong options early, as far as the protocol is known.

        Raises:
            ConfigError: fewer than 2 orders, several trained models or none that is tested, or a protocol of ratings.
        """
        from segue.evaluation.ranking_protocol import RankingProtocol

        if self.tie_range is None:
            return
        if not 2 <= self.tie_range <= MAX_ORDERS:
            raise ConfigError(
                f"--tie-range {self.tie_range}: a range needs at least 2 orders, and at most {MAX_ORDERS:,}"
            )
        if seeds > 1:
            raise ConfigError(
                f"--tie-range: is of one trained model, and --seeds {seeds} trains several; leave one out"
            )
        if final:
            raise ConfigError("--tie-range: needs the model that is tested, and --final replaces it; leave one out")
        if protocol is not None:
            ranking = RankingProtocol.expect(
                protocol, f"--tie-range: needs a protocol that ranks; {protocol.name} does not"
            )
            if ranking.trains_anew:
                raise ConfigError(
                    f"--tie-range: models are not trained anew in each of the orders, as --retrain {ranking.retrain} "
                    "asks for; leave one out"
                )

    def check_log(self, log: Log) -> None:
        """Find what the log does not have, before anything is trained.

        Raises:
            DataError: it has no times.
        """
        if self.tie_range is not None and log.time is None:
            raise DataError(f"--tie-range: {log.name} has an order and no times, so it is not known which events tie")

    def advice(self, results: Sequence[Result], *, final: bool = False, seeds: int = 1) -> list[str]:
        """A line that names the option where many targets tie and it can be given; empty otherwise."""
        from segue.data.diagnostics.target_times import SOME_TIED

        tied, is_fixed = results[0].tied, not results[0].protocol.trains_anew
        fits = self.tie_range is None and not final and seeds == 1 and is_fixed
        if not fits or tied is None or tied <= SOME_TIED:
            return []
        return ["--tie-range 10 shows how much the figures change with another order of the events that tie."]

    def tables(
        self,
        results: Sequence[Result],
        trained: Mapping[str, Model],
        metrics: Sequence[str],
        log: Log,
        *,
        refit: bool,
    ) -> tuple[list[Any], dict[str, Any]]:
        """The table, with a line that says what was held fixed, and its content for JSON; empty without the option.

        Args:
            results: the rows of the table of results.
            trained: the models of these results by name; a baseline that is not there is made with its default
                settings.
            metrics: of the table of results.
            log: the log.
            refit: whether the models are trained on the validation data as well.
        """
        from segue.evaluation.task import mean_metric
        from segue.experiments.tie_range import has_ties, tie_ranges

        if self.tie_range is None:
            return [], {}
        orders = self.tie_range
        if log.time is not None and not has_ties(log):
            return [CERTAIN], {"tie_range": {"orders": orders, "models": []}}
        models = {result.model: trained.get(result.model) or _new_baseline(result.model, log) for result in results}
        found = tie_ranges(models, results[0].protocol, log, metrics, orders=orders, refit=refit)
        rows: list[dict[str, Any]] = [
            {
                "model": result.model,
                "metric": metric,
                "order of the file": mean_metric(result.predictions, metric),
                "lowest": found[result.model].low[metric],
                "highest": found[result.model].high[metric],
            }
            for result in results
            for metric in metrics
        ]
        known = {name: ties.trained_on for name, ties in found.items()}
        figures = ("order of the file", "lowest", "highest")
        shown = [{**row, **{name: metric_text(row[name]) for name in figures}} for row in rows]
        title = f"Over {orders} random orders of the events of a user that have the same time"
        facts = {"orders": orders, "models": rows, "trained_on_targets": known}
        return [grid(shown, title), _what_was_fixed(known)], {"tie_range": facts}


TIE_RANGE_DEFAULTS = TieRangeOptions()


def _new_baseline(name: str, log: Log) -> Model:
    """An untrained model with its default settings."""
    from segue.models.base.model import Sizes
    from segue.models.registry import find

    kind = find(name)
    return kind(kind.configure(), Sizes.of(log))


def _what_was_fixed(known: Mapping[str, float | None]) -> str:
    again = [name for name, share in known.items() if share is None]
    fixed = {name: share for name, share in known.items() if share is not None}
    lines = ["Each order is split again."]
    if again:
        lines.append(f"Trained again for each order: {', '.join(again)}.")
    if fixed:
        share = next(iter(fixed.values()))
        lines.append(
            f"Not trained again: {', '.join(fixed)}; {share:.0%} of the targets of these orders were in the training "
            "data, so these figures can be too high."
        )
    return " ".join(lines)
