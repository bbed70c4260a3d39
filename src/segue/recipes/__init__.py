"""One file a reproduced table. `RECIPES` names them all."""

from collections.abc import Callable

from segue.errors import ConfigError, did_you_mean
from segue.recipes import hgn_cds
from segue.recipes.reproduction import Reproduction

RECIPES: dict[str, Callable[..., Reproduction]] = {"hgn-cds": hgn_cds.reproduce}


def find(name: str) -> Callable[..., Reproduction]:
    """The recipe of the table called `name`."""
    if name not in RECIPES:
        raise ConfigError(f"no table {name!r}{did_you_mean(name, RECIPES)}; there are: {', '.join(RECIPES)}")
    return RECIPES[name]
