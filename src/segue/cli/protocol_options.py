"""Options that say which questions a protocol asks, and what may be read before them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from cyclopts import Parameter

from segue.errors import ConfigError

if TYPE_CHECKING:
    from segue.evaluation.protocol import Protocol

FIELDS = {"auc_users": "users", "auc_seed": "seed"}  # where an option has another name than the protocol's setting


@Parameter(name="*", group="Which questions are asked (all but the first: protocols of ratings)")
@dataclass(frozen=True, kw_only=True)
class ProtocolOptions:
    """Which questions are asked, where the protocol does not say so already.

    Attributes:
        min_history: Only users with so many rows before the question or, of ratings, before the date (3 under ratings).
        min_audience: Only items with so many ratings before the date (3 under ratings).
        histories: What may be read before a rating: what was there on the date, or (rolling) all that was before it.
        auc_users: Take the AUC of so many users, drawn at random; by default of all.
        auc_seed: Of that draw; 0 by default.
    """

    min_history: int | None = None
    min_audience: int | None = None
    histories: Literal["date", "rolling"] | None = None
    auc_users: int | None = None
    auc_seed: int | None = None

    def of(self, protocol: Protocol) -> Protocol:
        """The protocol, asking as these options say.

        Raises:
            ConfigError: an option of ratings for a protocol that ranks, a seed of no draw, or a value that cannot be.
        """
        from segue.evaluation.protocol import RatingProtocol

        given = {name: value for name, value in vars(self).items() if value is not None}
        for name in given:
            if name != "min_history" and not isinstance(protocol, RatingProtocol):
                raise ConfigError(
                    f"--{name.replace('_', '-')}: {protocol.name} ranks items; this option is of protocols of ratings, "
                    "such as --protocol ratings"
                )
        asks: Protocol = replace(protocol, **{FIELDS.get(name, name): value for name, value in given.items()})
        if "auc_seed" in given and getattr(asks, "users", None) is None:
            raise ConfigError(f"--auc-seed {self.auc_seed}: nothing is drawn; say of how many users with --auc-users")
        return asks
