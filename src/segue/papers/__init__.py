"""Tables and figures of papers, recomputed: `TABLES` names them all."""

from collections.abc import Callable

from segue.errors import ConfigError, did_you_mean
from segue.papers.criteo import baselines as criteo_baselines
from segue.papers.criteo import figures as criteo_figures
from segue.papers.criteo import figures_paper as criteo_figures_paper
from segue.papers.criteo import table1 as criteo_table1
from segue.papers.criteo import table2_params as criteo_table2_params
from segue.papers.criteo import table4 as criteo_table4
from segue.papers.criteo import table4_paper as criteo_table4_paper
from segue.papers.criteo import table5 as criteo_table5
from segue.papers.criteo import table5_paper as criteo_table5_paper
from segue.papers.hcrnn import figures as hcrnn_figures
from segue.papers.hcrnn import figures_paper as hcrnn_figures_paper
from segue.papers.hcrnn import table2 as hcrnn_table2
from segue.papers.hcrnn import table3 as hcrnn_table3
from segue.papers.hcrnn import table3_paper as hcrnn_table3_paper
from segue.papers.hcrnn import table3_paper_movielens as hcrnn_table3_paper_movielens
from segue.papers.hgn import blends as cds_blends
from segue.papers.hgn import figures as hgn_figures
from segue.papers.hgn import figures_paper as hgn_figures_paper
from segue.papers.hgn import table2 as hgn_table2
from segue.papers.hgn import table3 as hgn_table3
from segue.papers.hgn import table3_paper as hgn_table3_paper
from segue.papers.hgn import table4 as hgn_table4
from segue.papers.hgn import table4_paper as hgn_table4_paper
from segue.papers.hgn import table5 as hgn_table5
from segue.papers.hgn import table6 as hgn_table6
from segue.papers.hgn import table6_paper as hgn_table6_paper
from segue.papers.hgn.other_logs import OTHER_LOGS
from segue.papers.iarn import figure3 as iarn_figure3
from segue.papers.iarn import figure3_paper as iarn_figure3_paper
from segue.papers.iarn import figure4 as iarn_figure4
from segue.papers.iarn import figure4_paper as iarn_figure4_paper
from segue.papers.iarn import figure5 as iarn_figure5
from segue.papers.iarn import table2 as iarn_table2
from segue.papers.iarn import table2_paper as iarn_table2_paper
from segue.papers.iarn import table2_paper_movielens as iarn_table2_paper_movielens
from segue.papers.reproduction import Reproduction

TABLES: dict[str, Callable[..., Reproduction]] = {
    "hgn-table2": hgn_table2.reproduce,
    "hgn-table3": hgn_table3.reproduce,
    "hgn-table3-paper": hgn_table3_paper.reproduce,
    "hgn-table4": hgn_table4.reproduce,
    "hgn-table4-paper": hgn_table4_paper.reproduce,
    "hgn-table5": hgn_table5.reproduce,
    "hgn-table6": hgn_table6.reproduce,
    "hgn-table6-paper": hgn_table6_paper.reproduce,
    "hgn-figures": hgn_figures.reproduce,
    "hgn-figures-paper": hgn_figures_paper.reproduce,
    "cds-blends": cds_blends.reproduce,
    "hcrnn-table2": hcrnn_table2.reproduce,
    "hcrnn-table3": hcrnn_table3.reproduce,
    "hcrnn-table3-paper": hcrnn_table3_paper.reproduce,
    "hcrnn-table3-paper-movielens": hcrnn_table3_paper_movielens.reproduce,
    "hcrnn-figures": hcrnn_figures.reproduce,
    "hcrnn-figures-paper": hcrnn_figures_paper.reproduce,
    "criteo-table1": criteo_table1.reproduce,
    "criteo-table2-params": criteo_table2_params.reproduce,
    "criteo-table4": criteo_table4.reproduce,
    "criteo-table4-paper": criteo_table4_paper.reproduce,
    "criteo-table5": criteo_table5.reproduce,
    "criteo-table5-paper": criteo_table5_paper.reproduce,
    "criteo-figures": criteo_figures.reproduce,
    "criteo-figures-paper": criteo_figures_paper.reproduce,
    "criteo-baselines": criteo_baselines.reproduce,
    "iarn-table2": iarn_table2.reproduce,
    "iarn-table2-paper": iarn_table2_paper.reproduce,
    "iarn-table2-paper-movielens": iarn_table2_paper_movielens.reproduce,
    "iarn-figure3": iarn_figure3.reproduce,
    "iarn-figure3-paper": iarn_figure3_paper.reproduce,
    "iarn-figure4": iarn_figure4.reproduce,
    "iarn-figure4-paper": iarn_figure4_paper.reproduce,
    "iarn-figure5": iarn_figure5.reproduce,
    **{other.name: other.reproduce for other in OTHER_LOGS},
}
_RENAMED = {"criteo-rivals": "criteo-baselines"}


def find_table(name: str) -> Callable[..., Reproduction]:
    """The function that recomputes the table called `name`.

    Raises:
        ConfigError: there is no such table, or it has another name now.
    """
    if name in _RENAMED:
        raise ConfigError(f"no table {name!r}: it is now called {_RENAMED[name]!r}")
    if name not in TABLES:
        raise ConfigError(f"no table {name!r}{did_you_mean(name, TABLES)}; there are: {', '.join(TABLES)}")
    return TABLES[name]
