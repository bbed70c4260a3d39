"""One file a reproduced table. `RECIPES` names them all."""

from collections.abc import Callable

from segue.errors import ConfigError, did_you_mean
from segue.recipes import (
    criteo_figures,
    criteo_rivals,
    criteo_table2_params,
    criteo_table4,
    criteo_table5,
    hcrnn_figures,
    hcrnn_table2,
    hcrnn_table3,
    hgn_figures,
    hgn_table3,
    hgn_table4,
    hgn_table5,
    hgn_table6,
    iarn_figure3,
    iarn_figure4,
    iarn_figure5,
    iarn_table2,
)
from segue.recipes.reproduction import Reproduction

RECIPES: dict[str, Callable[..., Reproduction]] = {
    "hgn-table3": hgn_table3.reproduce,
    "hgn-table4": hgn_table4.reproduce,
    "hgn-table5": hgn_table5.reproduce,
    "hgn-table6": hgn_table6.reproduce,
    "hgn-figures": hgn_figures.reproduce,
    "hcrnn-table2": hcrnn_table2.reproduce,
    "hcrnn-table3": hcrnn_table3.reproduce,
    "hcrnn-figures": hcrnn_figures.reproduce,
    "criteo-table2-params": criteo_table2_params.reproduce,
    "criteo-table4": criteo_table4.reproduce,
    "criteo-table5": criteo_table5.reproduce,
    "criteo-figures": criteo_figures.reproduce,
    "criteo-rivals": criteo_rivals.reproduce,
    "iarn-table2": iarn_table2.reproduce,
    "iarn-figure3": iarn_figure3.reproduce,
    "iarn-figure4": iarn_figure4.reproduce,
    "iarn-figure5": iarn_figure5.reproduce,
}


def find(name: str) -> Callable[..., Reproduction]:
    """The recipe of the table called `name`."""
    if name not in RECIPES:
        raise ConfigError(f"no table {name!r}{did_you_mean(name, RECIPES)}; there are: {', '.join(RECIPES)}")
    return RECIPES[name]
