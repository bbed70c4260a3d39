"""`segue recommend`: the items that a saved model recommends to a user, for a history, or to many users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from segue.cli.check_outputs import check_outputs, source_files
from segue.cli.help import OUTPUT_GROUP
from segue.cli.options.candidates import CANDIDATE_DEFAULTS, CandidateOptions
from segue.cli.options.history import HistoryOptions, read_history, say_unknown
from segue.cli.options.split_arguments import date_in
from segue.cli.output import JsonFile, show, write_json_output
from segue.cli.recommendations_file import write_recommendations
from segue.cli.recommendations_table import as_json, last_titles, recommendation_tables
from segue.cli.saved_models import ModelClasses, load_saved
from segue.errors import ConfigError

if TYPE_CHECKING:
    from segue.serving.saved_model import SavedModel


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class WhoOptions(HistoryOptions):
    """Whom to recommend to: one user, one history, or many users.

    Attributes:
        item: An item of the history, whatever its name, in place of --history. Repeat the option, oldest item first.
        times: When the events of the history were, one time for each item, separated by commas, for models that read
            times or sessions: 2024-01-31, 2024-01-31T10:00 or numbers in the unit of the log's times.
        all: All users of the log. Needs --out.
        users: File of users: one name a line, or .csv, .parquet or .json. Needs --out.
    """

    item: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False, metavar="ITEM")] = ()
    times: Annotated[str | None, Parameter(show_default=False)] = None
    all: Annotated[bool, Parameter(negative=(), show_default=False)] = False
    users: Annotated[Path | None, Parameter(name=["--users", "--users-file"])] = None

    def check(self, out: Path | None) -> None:
        """Check which options are given together.

        Raises:
            ConfigError: one answer and many are asked for, or --out does not go with it.
        """
        many = [name for name, given in (("--all", self.all), ("--users", self.users is not None)) if given]
        one = {"--user": self.user is not None, "--history": self.history is not None, "--item": bool(self.item)}
        one["--times"] = self.times is not None
        if len(many) > 1 or (many and any(one.values())):
            given = [*many, *(name for name, is_given in one.items() if is_given)]
            raise ConfigError(f"{' and '.join(given)}: give only one of them")
        if many and out is None:
            raise ConfigError(f"{many[0]}: name the file for the recommendations, such as --out recommended.parquet")
        if out is not None and not many:
            raise ConfigError(f"--out {out}: is for many users (--all or --users FILE); --json FILE writes one answer")


WHO_DEFAULTS = WhoOptions()


def recommend(
    model: Path,
    *,
    who: WhoOptions = WHO_DEFAULTS,
    k: Annotated[int, Parameter(name="-k")] = 10,
    candidates: CandidateOptions = CANDIDATE_DEFAULTS,
    at: Annotated[str | None, Parameter(show_default=False)] = None,
    model_class: ModelClasses = (),
    out: Annotated[Path | None, Parameter(name=["--out", "-o"], group=OUTPUT_GROUP)] = None,
    json: JsonFile = None,
) -> None:
    """Recommend items to a user of the log, for any history, or to many users at once.

    Args:
        model: Folder of a saved model.
        k: Number of items.
        at: When the items are requested, for models that read it: 2024-01-31, 2024-01-31T10:00 or a number in the unit
            of the log's times. The default is the time of the newest event of the log.
        out: File for the recommendations to many users: .parquet, .csv or .jsonl.
    """
    from segue.serving.name_files import read_names
    from segue.serving.table_writer import check_format

    who.check(out)
    inputs = [model, who.users, candidates.allow, candidates.deny, *source_files(*model_class)]
    check_outputs({"--out": out, "--json": json}, inputs=inputs)
    if out is not None:
        check_format(out)
    saved = load_saved(model, model_class)
    from segue.serving.batch import recommend_blocks
    from segue.serving.erased_names import named_users
    from segue.serving.query import make_query
    from segue.serving.recommend import recommend as recommend_items

    log, strict = saved.log, who.strict
    time = None if at is None else _request_time(at, saved, out)
    items = candidates.filter(log, strict=strict)
    if out is not None:
        users = None if who.users is None else read_names(who.users, "user", log.users)
        blocks = recommend_blocks(
            saved.model, log, users, k=k, exclude_seen=candidates.exclude_seen, items=items, strict=strict
        )
        counts = write_recommendations(blocks, len(named_users(log.users.tokens) if users is None else users), out)
        write_json_output(json, {"model": str(model), "out": str(out), **asdict(counts)})
        return
    history = read_history(log, who.history, who.item)
    times = None if who.times is None else _event_times(who.times, history, saved)
    if history:
        say_unknown(saved.model, timed=times is not None)
    recommended = recommend_items(
        saved.model,
        log,
        user=who.user,
        history=history,
        times=times,
        time=time,
        k=k,
        exclude_seen=candidates.exclude_seen,
        items=items,
        strict=strict,
    )
    last_seen = last_titles(log, make_query(log, who.user, history))
    show(*recommendation_tables(recommended, last_seen, who.user))
    write_json_output(json, {"model": str(model), "user": who.user, "last_seen": last_seen, **as_json(recommended)})


def _event_times(text: str, history: Sequence[Any] | None, saved: SavedModel) -> list[int]:
    """The times of --times in the unit of the log.

    Raises:
        ConfigError: there is no history of so many items, the model reads no times, or one is no date or is before the
            one in front of it.
    """
    parts = [part.strip() for part in text.split(",")]
    if history is None or len(parts) != len(history):
        what = "no history; give one with --history or --item" if history is None else f"{len(history):,} items"
        raise ConfigError(f"--times {text}: {len(parts):,} times for {what}; give one for each item of the history")
    rule = saved.model.session_rule
    if not (saved.model.reads_times or (rule and rule.gap)):
        raise ConfigError(f"--times {text}: {saved.model.name} does not read when events were; leave it out")
    times = [date_in(part, saved.log, "--times") for part in parts]
    if any(later < earlier for earlier, later in pairwise(times)):
        raise ConfigError(f"--times {text}: go back; give the oldest item first")
    return times


def _request_time(at: str, saved: SavedModel, out: Path | None) -> int:
    """The time of --at in the unit of the log.

    Raises:
        ConfigError: the model does not read it, many users are asked for, or it is no date.
    """
    if not saved.model.reads_request_time:
        raise ConfigError(f"--at {at}: {saved.model.name} does not read when items are requested; leave it out")
    if out is not None:
        raise ConfigError(
            f"--at {at}: is for one user or history; --all and --users have the time of the newest event of the log"
        )
    return date_in(at, saved.log, "--at")
