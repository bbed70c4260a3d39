"""`Protocol`: what makes two figures comparable: the split, the evaluation instances, the metrics.

Every task has its own protocols: `RankingProtocol` and `RatingProtocol`. `segue.evaluation.protocols` has the named
ones. Two figures may be compared only if their protocols have the same fingerprint.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar, get_type_hints

from segue.data.diagnostics.leakage import leakage_warnings
from segue.data.diagnostics.target_times import TargetTimes
from segue.data.log import Log
from segue.data.split_kinds import SPLITS, SplitKind
from segue.data.splits import EvalInstances, Part, Split
from segue.errors import ConfigError, require, unknown
from segue.evaluation.task import Predictions, Task, mean_metric
from segue.evaluation.user_sample import draw_users
from segue.io import json_hash
from segue.json_files import checked

if TYPE_CHECKING:
    from segue.models.base.model import Model

SAMPLE_SIZES = ("sample_users", "sample_test_users")
AnyProtocol = TypeVar("AnyProtocol", bound="Protocol")


class SplitCheck(NamedTuple):
    """What makes figures of a split doubtful.

    Attributes:
        tied: the share of the test instances whose first target has the time of the row before it; None if unknown.
        warnings: what it shares with training and what else looks wrong, one sentence each.
    """

    tied: float | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Protocol(ABC):
    """How models are evaluated: the part that all tasks have in common.

    Class attributes:
        task: what is predicted.
        stored_names: settings that older files and fingerprints have under another name.

    Attributes:
        name: the name of the protocol.
        by: how the log is split, a name in `segue.data.split_kinds.SPLITS`.
        arguments: arguments of the split; its defaults are filled in.
        min_history: instances with fewer rows before them are left out.
        sample_users: validation has the instances of at most so many users, drawn at random; None for all of them.
        sample_test_users: the same for the test part.
        sample_seed: seed of that draw.
    """

    task: ClassVar[Task]
    stored_names: ClassVar[Mapping[str, str]] = {}

    name: str
    by: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    min_history: int = 1
    sample_users: int | None = None
    sample_test_users: int | None = None
    sample_seed: int = 0

    def __post_init__(self) -> None:
        require(self.by in SPLITS, unknown("split", self.by, SPLITS))
        require(isinstance(self.arguments, Mapping), f"arguments={self.arguments!r}: must be named values")
        object.__setattr__(self, "arguments", SPLITS[self.by].arguments(self.arguments))
        require(self.min_history >= 1, f"min_history={self.min_history}: must be at least 1")
        for name in SAMPLE_SIZES:
            value = getattr(self, name)
            require(value is None or _is_whole(value, 1), f"{name}={value!r}: must be a whole number of at least 1")
        require(_is_whole(self.sample_seed, 0), f"sample_seed={self.sample_seed!r}: must be a whole number from 0 on")

    @property
    def cut_offs(self) -> tuple[int, ...]:
        """The cut-offs of the metrics; empty if they have none."""
        return ()

    @property
    def fingerprint(self) -> str:
        """16 hex digits that identify everything that can change a figure; the name and the cut-offs cannot."""
        return json_hash(self._fingerprint_content())

    def _fingerprint_content(self) -> dict[str, Any]:
        """The settings that can change a figure, under their stored names."""
        settings = {key: value for key, value in self.as_dict().items() if key not in ("name", "task")}
        return {self.stored_names.get(key, key): value for key, value in settings.items()}

    def with_targets(self, log: Log) -> Log:
        """The log in which only events that the protocol evaluates are targets."""
        return log

    @property
    def split_kind(self) -> SplitKind:
        """What is known about the split."""
        return SPLITS[self.by]

    @property
    def basket_gap(self) -> int:
        """The largest time between the events of a basket, in seconds; 0 for protocols without baskets."""
        return int(self.arguments.get("gap") or 0) if self.by in ("next-basket", "newer") else 0

    def split(self, log: Log) -> Split:
        """Split a log."""
        return self.split_kind.make(log, **self.arguments)

    def instances(self, split: Split, part: Part) -> EvalInstances:
        """The evaluation instances of a held-out part of a split: of all its users, or of those that are drawn."""
        number = self.sample_users if part == "valid" else self.sample_test_users
        return draw_users(self._all_instances(split, part), number, self.sample_seed)

    @abstractmethod
    def _all_instances(self, split: Split, part: Part) -> EvalInstances:
        """The evaluation instances of all users."""

    @abstractmethod
    def evaluate(self, model: Model, split: Split, part: Part, metrics: Sequence[str] | None = None) -> Predictions:
        """Evaluate a model on a held-out part.

        Args:
            model: a trained model.
            split: of the log, made by `split`.
            part: "valid" or "test".
            metrics: what the predictions will be measured by; None for every metric of the protocol.
        """

    def validation_metric(self, model: Model, split: Split, metric: str) -> float:
        """The figure of `metric` on validation; negative if lower is better, so that it is always to be maximised."""
        figure = mean_metric(self.evaluate(model, split, "valid", (metric,)), metric)
        return -figure if self.task.lower_is_better(metric) else figure

    @property
    def gives_request_time(self) -> bool:
        """Whether models that rank items may read when the next item is requested."""
        return False

    @property
    def trains_anew(self) -> bool:
        """Whether models are trained anew while the test part goes by."""
        return False

    def check_model(self, model: Model) -> None:
        """Raise `ConfigError` if the protocol keeps from a model what it reads."""
        require(
            self.gives_request_time or not model.reads_request_time,
            f"the model reads when the next item is requested, and {self.name} does not give it: evaluate it with "
            "--request-time known (request_time=known in Python), or choose settings of the model that do without",
        )

    @abstractmethod
    def check_metric(self, metric: str) -> None:
        """Raise `ConfigError` if the protocol cannot measure `metric`."""

    @abstractmethod
    def table_metrics(self, cut_offs: Sequence[int]) -> list[str]:
        """The metrics that a table shows, at some cut-offs."""

    def baselines(self, log: Log) -> tuple[str, ...]:
        """The names of the simple models that are shown beside any other on `log`."""
        return self.task.baselines

    def check(self, split: Split, *, refit: bool = False) -> SplitCheck:
        """What makes figures of a split doubtful; with `refit`, models are trained on validation data as well."""
        times = self.target_times(split)
        shared = leakage_warnings(split, refit=refit, ranking=self.task.name == "ranking")
        return SplitCheck(None if times is None else times.tied, (*shared, *self._warnings(split, times)))

    def target_times(self, split: Split) -> TargetTimes | None:
        """How soon the first targets of the test follow the rows before them; None if that is unknown."""
        return None

    def _warnings(self, split: Split, times: TargetTimes | None) -> list[str]:
        """What is doubtful about the targets and the items that are ranked, one sentence each."""
        return []

    @abstractmethod
    def describe(self) -> str:
        """One sentence that says how the figures are computed."""

    def _describe_sample(self) -> str:
        """The parts of that sentence about the users that are drawn."""
        drawn = f" randomly drawn users (seed {self.sample_seed})"
        parts = (("validation is", self.sample_users), ("the figures are", self.sample_test_users))
        return "".join(f"; {what} of at most {number:,}{drawn}" for what, number in parts if number is not None)

    def with_cut_offs(self: AnyProtocol, cut_offs: Sequence[int], *, only: bool = False) -> AnyProtocol:
        """The protocol with further cut-offs, or with `only` these; unchanged if its metrics have no cut-offs."""
        return self

    def with_settings(self: AnyProtocol, settings: Mapping[str, Any]) -> AnyProtocol:
        """The protocol with other values of some settings.

        Raises:
            ConfigError: it has no such setting, or a value is out of range.
        """
        known = [f.name for f in dataclasses.fields(self)]
        for name, value in settings.items():
            require(
                name in known,
                f"{name}={value}: {self.name} is a protocol of the {self.task.name} task, which has no such setting",
            )
        return replace(self, **settings)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON. Settings of samples are absent where none is drawn, as in earlier versions."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        absent = {name for name in SAMPLE_SIZES if values[name] is None}
        if len(absent) == len(SAMPLE_SIZES):
            absent.add("sample_seed")
        values = {name: value for name, value in values.items() if name not in absent}
        return {"task": self.task.name, **values, "arguments": dict(self.arguments)}

    @classmethod
    def from_dict(cls: type[AnyProtocol], values: Mapping[str, Any]) -> AnyProtocol:
        """The inverse of `as_dict`. Absent settings have their defaults; files of earlier versions can be read.

        Raises:
            ConfigError: an unknown setting, or one that is missing or out of range.
        """
        from segue.evaluation.protocols import protocol_class

        return cls.expect(protocol_class(values)._from_dict(values), "this is the protocol of another task")

    @classmethod
    def _from_dict(cls, values: Mapping[str, Any]) -> Protocol:
        new_names = {stored: name for name, stored in cls.stored_names.items()}
        settings = {new_names.get(key, key): value for key, value in values.items() if key != "task"}
        known = [f.name for f in dataclasses.fields(cls)]
        for key in settings:
            require(key in known, unknown("protocol setting", key, known))
        for key in ("name", "by"):
            require(key in settings, f"a protocol needs {key!r}; found: {', '.join(settings) or 'nothing'}")
        hints = get_type_hints(cls)
        for key in settings.keys() - {"arguments"}:  # which the split checks
            _check_type(key, settings[key], hints[key])
        return cls(**settings)

    @classmethod
    def named(cls: type[AnyProtocol], name: str) -> AnyProtocol:
        """A named protocol.

        Raises:
            ConfigError: there is none of this name, or it is of another task than this class.
        """
        from segue.evaluation.protocols import PROTOCOLS

        require(name in PROTOCOLS, unknown("protocol", name, PROTOCOLS))
        return cls.expect(PROTOCOLS[name], f"{name} is a protocol of the {PROTOCOLS[name].task.name} task")

    @classmethod
    def guess(cls, log: Log) -> Protocol:
        """A protocol that suits a log: see `segue.evaluation.protocols.guess`."""
        from segue.evaluation.protocols import guess

        return guess(log)

    @classmethod
    def expect(cls: type[AnyProtocol], protocol: Protocol, message: str) -> AnyProtocol:
        """`protocol`, if it is of this class.

        Raises:
            ConfigError: it is of another task; with `message`.
        """
        if not isinstance(protocol, cls):
            raise ConfigError(message)
        return protocol


def differing_settings(one: Protocol, two: Protocol) -> dict[str, tuple[Any, Any]]:
    """The settings in which figures of two protocols differ, with both values; None for one that is absent."""
    first, second = one.as_dict(), two.as_dict()
    names = [name for name in {**first, **second} if name not in ("name", "ks")]
    values = {name: (first.get(name), second.get(name)) for name in names}
    return {name: pair for name, pair in values.items() if pair[0] != pair[1]}


def differences(one: Protocol, two: Protocol) -> str:
    """These settings in words, such as "leak=keep on one side, leak=drop on the other"."""
    settings = differing_settings(one, two)
    sides = (", ".join(f"{name}={pair[side]}" for name, pair in settings.items()) for side in (0, 1))
    return f"{' on one side, '.join(sides)} on the other"


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _check_type(name: str, value: Any, hint: Any) -> None:
    """Raise `ConfigError` if a stored setting is not of the type that its declaration has."""
    try:
        value = checked(value, hint)
    except ValueError as error:
        raise ConfigError(f"{name}={value!r}: {error}") from None
    numbers = value if isinstance(value, tuple) else (value,)
    small = all(not isinstance(number, int) or abs(number) < 2**63 for number in numbers)
    require(small, f"{name}={value!r}: does not fit in 64 bits")
