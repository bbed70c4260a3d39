"""`EvaluationOptions` and `ProtocolOptions`: how models are evaluated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from segue.cli.help import EVALUATION_GROUP
from segue.cli.options.split_arguments import with_arguments
from segue.errors import ConfigError
from segue.reporting.console import say

if TYPE_CHECKING:
    from segue.data.log import Log
    from segue.evaluation.protocol import Protocol

FIELDS = {"auc_users": "users", "auc_seed": "seed"}  # options whose setting of the protocol has another name
OF_RATINGS = ("min_item_history", "histories", "auc_users", "auc_seed")
OF_SAMPLE = ("sample_users", "sample_test_users", "sample_seed")
OF_SPLIT = ("valid", "test", "date", "gap")
SeenRule = Annotated[bool | None, Parameter(name="--exclude-seen", negative="--include-seen", show_default=False)]
MAX_CUT_OFF = 1_000_000
MANY_SCORES = 10**11  # of all users and items: simple models compute so many in some minutes
CutOffs = Annotated[list[int] | None, Parameter(name="-k", consume_multiple=True, negative=())]


@Parameter(name="*", group=EVALUATION_GROUP)
@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """Which test instances are evaluated, and the cut-offs of the metrics.

    Attributes:
        k: Cut-offs of the metrics in the table, such as -k 5 10 20. The default is 10.
        exclude_seen: Leave out of the ranking what the user has already had, or rank it too. The default is that of the
            protocol.
        min_history: Only users with at least this number of earlier rows are evaluated. Under the protocol ratings the
            default is 3, and rows before the date of the split count.
        min_item_history: Ratings only: evaluate only items with at least this number of ratings before the date of the
            split. The default is 3.
        histories: Ratings only: the model sees the events before the date of the split (date), or all events before
            each rating (rolling).
        auc_users: Ratings only: compute the AUC for this number of randomly drawn users. The default is all users.
        auc_seed: Ratings only: seed of that draw. The default is 0.
        sample_test_users: Compute the figures for this number of randomly drawn users, if the test part has more. The
            default is all users.
        sample_seed: Seed of the draw of users. The default is 0.
    """

    k: CutOffs = None
    exclude_seen: SeenRule = None
    min_history: int | None = None
    min_item_history: int | None = None
    histories: Literal["date", "rolling"] | None = None
    auc_users: int | None = None
    auc_seed: int | None = None
    sample_test_users: int | None = None
    sample_seed: int | None = None

    @property
    def cut_offs(self) -> tuple[int, ...]:
        """The cut-offs of the metrics, in ascending order."""
        if self.k is None:
            return (10,)
        if not self.k or min(self.k) < 1 or max(self.k) > MAX_CUT_OFF:
            raise ConfigError(
                f"-k {' '.join(map(str, self.k))}: cut-offs are whole numbers from 1 to {MAX_CUT_OFF:,}, such as "
                "-k 5 10 20"
            )
        return tuple(sorted(set(self.k)))

    def adapt(self, protocol: Protocol) -> Protocol:
        """The protocol of a saved model with the settings and the cut-offs of these options alone."""
        return self.apply_to(protocol.with_cut_offs(self.cut_offs, only=True))

    def apply_to(self, protocol: Protocol) -> Protocol:
        """The protocol with the settings that these options change.

        Raises:
            ConfigError: an option of ratings for a protocol that ranks items, or a value out of its range.
        """
        from segue.evaluation.protocols import with_seen_rule

        if self.exclude_seen is not None:
            protocol = with_seen_rule(protocol, exclude_seen=self.exclude_seen)
        names = ("min_history", *OF_RATINGS, *OF_SAMPLE)
        given = {name: getattr(self, name) for name in names if getattr(self, name, None) is not None}
        for name in given:
            if name in OF_RATINGS and protocol.task.name != "rating":
                raise ConfigError(
                    f"--{name.replace('_', '-')}: {protocol.name} ranks items; this option is of protocols of ratings, "
                    "such as --protocol ratings"
                )
        changed: Protocol = replace(protocol, **{FIELDS.get(name, name): value for name, value in given.items()})
        if "auc_seed" in given and getattr(changed, "users", None) is None:
            raise ConfigError(f"--auc-seed {self.auc_seed}: no users are drawn; give their number with --auc-users")
        if "sample_seed" in given and changed.sample_users is None and changed.sample_test_users is None:
            raise ConfigError(
                f"--sample-seed {self.sample_seed}: no users are drawn; give their number with --sample-test-users, or "
                "in training with --sample-users"
            )
        return changed


EVALUATION_DEFAULTS = EvaluationOptions()


@Parameter(name="*", group=EVALUATION_GROUP)
@dataclass(frozen=True, kw_only=True)
class ProtocolOptions(EvaluationOptions):
    """How the log is split and which items are ranked.

    Attributes:
        protocol: Evaluation protocol: leave-one-out, next-basket, last-session, recbole, hgn, global-time, prequential,
            whole-users, session, given, last-day or ratings. The default is session or given if the log comes with a
            split, otherwise leave-one-out. By default, leave-one-out, next-basket and given rank what a user has
            already had only if users of the log often return to items; hgn never ranks it; the others that rank always
            do.
        valid: Size of the validation part, in what the protocol takes: a fraction (hgn, global-time, whole-users), a
            number of rows (leave-one-out) or of days (last-day).
        test: Size of the test part, likewise.
        date: Start of the test, for global-time and ratings: 2024-01-31, 2024-01-31T10:00 or a number in the unit of
            the log's times.
        gap: Protocols next-basket and last-session: events of a user with at most this number of seconds from each to
            the next are one basket, or one session if the log has no sessions. The default is 0 (events at the same
            time) for baskets, and 1,800 for sessions.
        horizon: Number of next items that are the targets of each step. With 5, recall@20,5 is the share of the next 5
            items that are among the first 20. More than 1 needs a protocol that evaluates every step, such as session.
        sample_users: Validate on this number of randomly drawn users, if there are more: for logs with so many users
            that validation takes longer than training. The test is of all users, unless --sample-test-users is given.
        leak: Whether users who share an event (same item, same time) with the test data stay in training: keep or drop.
        targets: Types of events that are to be predicted, such as --targets buy; the others are only read. It needs the
            types of events (--event-col). By default, all events are.
        request_time: Whether models may read when the next item is requested, which is the time of the target: known or
            unknown. A service knows it.
        cold_items: Leave all rows of this share of the items, drawn at random, out of training. They stay in histories
            and are targets of validation and test; --by popularity shows their figures apart.
        cold_seed: Seed of that draw. The default is 0.
        update: Whether models that can learn each event of the test at once do so, after it was predicted. The default
            is that of the protocol: prequential does, global-time does not.
        retrain: When models are trained anew on all events before, while the test goes by: never, hourly or nightly.
            Protocols prequential and global-time.
    """

    protocol: str | None = None
    valid: float | None = None
    test: float | None = None
    date: str | None = None
    gap: float | None = None
    horizon: int = 1
    sample_users: int | None = None
    leak: Literal["keep", "drop"] = "keep"
    targets: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None
    request_time: Literal["unknown", "known"] = "unknown"
    cold_items: float = 0.0
    cold_seed: int = 0
    update: Annotated[bool | None, Parameter(show_default=False)] = None
    retrain: Literal["never", "hourly", "nightly"] = "never"

    def without_log(self) -> Protocol:
        """The protocol as far as it is known before the log is read, to find wrong options early."""
        from segue.evaluation.protocol import Protocol

        return self._apply(Protocol.named(self.protocol or ("session" if self.horizon > 1 else "leave-one-out")), None)

    def for_log(self, log: Log) -> Protocol:
        """The named protocol, or the one that suits the log; says how to measure on fewer users if they are many."""
        from segue.evaluation.protocol import Protocol

        protocol = self._apply(Protocol.named(self.protocol) if self.protocol else Protocol.guess(log), log)
        parts = {"validation": protocol.sample_users, "test": protocol.sample_test_users}
        whole = [part for part, number in parts.items() if number is None]
        if whole and log.num_users * log.num_items >= MANY_SCORES:
            say(
                f"{' and '.join(whole)} may rank {log.num_items:,} items for each of {log.num_users:,} users, which "
                "takes long; --sample-users 10000 and --sample-test-users 10000 draw fewer users"
            )
        return protocol

    def _apply(self, protocol: Protocol, log: Log | None) -> Protocol:
        from segue.evaluation.protocols import with_seen_rule_of_log

        given = {name: getattr(self, name) for name in OF_SPLIT if getattr(self, name) is not None}
        protocol = with_arguments(protocol, given, log) if given else protocol
        if self.exclude_seen is None and log is not None and self.protocol:  # a guessed one has the rule of the log
            protocol = with_seen_rule_of_log(protocol, log)
        names = ("horizon", "leak", "request_time", "cold_items", "cold_seed", "retrain")
        settings: dict[str, Any] = {name: getattr(self, name) for name in names}
        changed = {name: value for name, value in settings.items() if value != getattr(ProtocolOptions, name)}
        if self.targets:
            changed["targets"] = tuple(self.targets)
        if self.update is not None:
            changed["update"] = self.update
        return self.apply_to(protocol.with_cut_offs(self.cut_offs).with_settings(changed))


PROTOCOL_DEFAULTS = ProtocolOptions()
