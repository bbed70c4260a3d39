"""The rules of a shop, as data: which items may be recommended, which are moved up, and how many of a kind a list has.

    {"kind": "exclude", "where": {"category": ["tobacco"]}}          never these
    {"kind": "include", "where": {"shop": ["uk"]}}                   only these; with several, those that match all
    {"kind": "boost", "where": {"brand": ["own"]}, "by": 0.5}        scores rise by half a standard deviation
    {"kind": "cap", "column": "category", "at_most": 3}              at most three of each category in a list

In `where`, several values of one column are alternatives, and all columns must fit. `items` names items one by one; a
rule matches an item that it names, or that `where` fits. A rule that matches no item any more is logged and does
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from segue.errors import ConfigError, require
from segue.event_store.documents import Documents
from segue.json_files import problem_text
from segue.service.http.names import Name, Text

Short = Annotated[Text, Field(min_length=1, max_length=500)]
RuleName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\w.-][\w. -]*$")]
MAX_RULES = 1_000


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    description: Annotated[Text, Field(max_length=1_000)] = Field("", description="What it is for.")


class _ItemRule(_Rule):
    where: dict[Short, list[Short]] = Field(
        default_factory=dict,
        max_length=50,
        description="Columns, and the values that an item must have one of.",
        examples=[{"category": ["kitchen"]}],
    )
    items: list[Name] = Field(default_factory=list, max_length=100_000, description="Items, one by one.")

    @model_validator(mode="after")
    def _means_something(self) -> _ItemRule:
        if not self.where and not self.items:
            raise ValueError("give where, items or both")
        return self


class Include(_ItemRule):
    """Only these items are recommended."""

    kind: Literal["include"]


class Exclude(_ItemRule):
    """These items are never recommended."""

    kind: Literal["exclude"]


class Boost(_ItemRule):
    """A multiple of the standard deviation of the answer's scores is added to the scores of these items."""

    kind: Literal["boost"]
    by: float = Field(ge=-10, le=10, description="The multiple; below 0 the items move down.", examples=[0.5])


class Cap(_Rule):
    """A list has at most so many items with the same value in a column."""

    kind: Literal["cap"]
    column: Short = Field(description="The column.", examples=["category"])
    at_most: int = Field(ge=0, le=1_000, description="How many items.", examples=[3])
    values: list[Short] = Field(default_factory=list, description="Of which values. By default of each.")


Rule = Annotated[Include | Exclude | Boost | Cap, Field(discriminator="kind")]
Rules = Mapping[str, Include | Exclude | Boost | Cap]
_adapter: TypeAdapter[dict[str, Include | Exclude | Boost | Cap]] = TypeAdapter(dict[RuleName, Rule])


def read_rules(content: Any, where: str) -> Rules:
    """Rules from plain values: an object with a rule for each name.

    Args:
        content: the values.
        where: what they are of, for the message.

    Raises:
        ConfigError: they are no rules; the message says which is wrong.
    """
    if not isinstance(content, dict):
        raise ConfigError(f"{where}: must be an object with a rule for each name")
    try:
        return _adapter.validate_python(content)
    except ValidationError as error:
        raise ConfigError(f"{where}: {problem_text(error)}") from error


def plain_rule(rule: Include | Exclude | Boost | Cap) -> dict[str, Any]:
    """A rule as plain values, without those that are as usual."""
    return {"kind": rule.kind, **rule.model_dump(exclude_defaults=True)}


def check_number(rules: Sized) -> None:
    """Raise `ConfigError` if there are too many rules to compute masks from."""
    require(len(rules) <= MAX_RULES, f"{len(rules):,} rules: at most {MAX_RULES:,} can be active at once")


@dataclass
class RuleBook:
    """The rules of a store in memory.

    Attributes:
        documents: the rules in the store.
        rules: by name.
        version: another one after each change.
    """

    documents: Documents

    def __post_init__(self) -> None:
        self.rules: Rules = {}
        self.version = 0
        self._num_changes: int | None = None
        self.apply(self.read_changes())

    def read_changes(self) -> tuple[int, dict[str, Any]] | None:
        """Read the rules if they changed; None if not. May run in a thread."""
        num_changes = self.documents.num_changes()
        return None if num_changes == self._num_changes else (num_changes, self.documents.all())

    def apply(self, changed: tuple[int, dict[str, Any]] | None) -> None:
        """Take over what `read_changes` returned.

        Raises:
            ConfigError: the store holds what is no rule; the rules stay as they were.
        """
        if changed is not None:
            self.rules = read_rules(changed[1], "the rules of the store")
            self._num_changes = changed[0]
            self.version += 1
