"""Every table and figure of the papers: what recomputes it, on which log, and the line that stands for it.

    HGN   Table 3   seven methods   Amazon CDs   hgn-table3   HGN, recall@10   hgn.md#table-3

Drawings of an architecture and lists of symbols are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from segue.papers.printed import AS_PRINTED, BEST_HERE


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A table or figure of a paper, or its part for one log.

    Attributes:
        paper: its short name.
        title: such as "Table 3".
        shows: what it has, in words.
        log: on which it is recomputed, or would be.
        section: of the pages of results.
        table: the name of the table on the command line, and of its result file; empty if nothing recomputes it.
        paper_table: the name of the table with the methods as the paper says, where that is another one than `table`.
        part: the beginning of the title of the part of the result file of `table`.
        method: the paper's own method, without the name of a form; empty for a picture without numbers.
        metrics: those whose figures are listed method by method, the most important one first.
        form: of the rows of a result file that does not say what departs from the paper.
        is_papers_log: whether the published figures are of this log.
        is_drawn: whether the paper draws its figures and prints no number.
        remark: what has to be known of the log, or why there is no figure.
    """

    paper: str
    title: str
    shows: str
    log: str
    section: str
    table: str = ""
    paper_table: str = ""
    part: str = ""
    method: str = ""
    metrics: tuple[str, ...] = ("",)
    form: str = ""
    is_papers_log: bool = True
    is_drawn: bool = False
    remark: str = ""


NOT_AT_HAND = "the log is not at hand"
_RELEASE = "another release than the paper's"
_hgn = partial(Entry, paper="HGN", log="Amazon CDs", method="HGN", metrics=("recall@10",))
_hgn_figure = partial(_hgn, shows="seven methods", section="hgn.md#figures-3-4-6-and-7", remark=NOT_AT_HAND)
_hcrnn = partial(Entry, paper="HCRNN")
_hcrnn_table3 = partial(
    _hcrnn,
    title="Table 3",
    shows="eleven methods",
    section="hcrnn.md#table-3",
    method="HCRNN-3 + Bi",
    metrics=("recall@20",),
)
_iarn = partial(Entry, paper="IARN", method="IARN", metrics=("rmse", "auc"))
_iarn_table2 = partial(_iarn, title="Table 2", shows="eight methods", section="iarn.md#table-2")
_criteo = partial(
    Entry,
    paper="Criteo",
    log="YooChoose 1/64",
    method="Stacked GRU + RE + LN",
    metrics=("recall@20,1", "uplift N=1, %"),
    is_papers_log=False,
    remark="the log is the last 1/64 of the study's",
)

CONTENTS: tuple[Entry, ...] = (
    _hgn(
        title="Table 2",
        shows="sizes of the logs",
        section="hgn.md#table-2",
        table="hgn-table2",
        method="users",
        metrics=("CDs",),
        remark="the other four logs are not at hand",
    ),
    _hgn(
        title="Table 3",
        shows="seven methods",
        section="hgn.md#table-3",
        table="hgn-table3",
        paper_table="hgn-table3-paper",
    ),
    _hgn_figure(title="Figure 3 and Table 3", log="MovieLens 20M", table="hgn-figure3"),
    _hgn_figure(title="Figure 4 and Table 3", log="Amazon Books", table="hgn-figure4"),
    _hgn_figure(title="Figure 6 and Table 3", log="Goodreads Children", table="hgn-figure6"),
    _hgn_figure(title="Figure 7 and Table 3", log="Goodreads Comics", table="hgn-figure7"),
    _hgn(
        title="Table 4",
        shows="ten architectures",
        section="hgn.md#table-4",
        table="hgn-table4",
        paper_table="hgn-table4-paper",
        method="(10) HGN",
        remark="the paper's two logs are not at hand",
    ),
    _hgn(
        title="Table 5",
        shows="seconds of an epoch",
        section="hgn.md#table-5",
        table="hgn-table5",
        metrics=("training s",),
        form=AS_PRINTED,
        remark="seconds of another machine",
    ),
    _hgn(
        title="Table 6",
        shows="how much is read and ranked",
        section="hgn.md#table-6",
        table="hgn-table6",
        paper_table="hgn-table6-paper",
        method="HGN L=5 T=3",
    ),
    _hgn(
        title="Figures 5 and 8",
        shows="methods by cut-off, sizes of the embeddings",
        section="hgn.md#figures-5-and-8",
        table="hgn-figures",
        paper_table="hgn-figures-paper",
        is_drawn=True,
    ),
    _hgn(
        title="Blends",
        shows="neighbour models with each other and with SASRec",
        section="../models/ensembles.md#blends",
        table="cds-blends",
        method="Sequential KNN with SASRec",
        form=BEST_HERE,
        remark="not in the paper",
    ),
    Entry(
        paper="RecBole",
        title="Running example",
        shows="HGN with the settings of the page",
        log="MovieLens 100K",
        section="index.md#movielens-100k-at-a-glance",
        table="runs/hgn-ml-100k",
        method="hgn, preset recbole",
        metrics=("recall@10",),
        form=AS_PRINTED,
        remark="the page prints no figure; [what differs](../models/hgn.md#differences-from-recbole)",
    ),
    _hcrnn(
        title="Table 2",
        shows="sizes of the logs",
        log="CiteULike, MovieLens",
        section="hcrnn.md#table-2",
        table="hcrnn-table2",
        method="sequences (train)",
        metrics=("MovieLens",),
        remark="the log of LastFM is not at hand",
    ),
    _hcrnn_table3(
        log="CiteULike", table="hcrnn-table3", paper_table="hcrnn-table3-paper", part="CiteULike, the authors' split"
    ),
    _hcrnn_table3(
        log="MovieLens",
        table="hcrnn-table3",
        paper_table="hcrnn-table3-paper-movielens",
        part="MovieLens",
        remark="reconstructed from MovieLens 1M",
    ),
    _hcrnn_table3(log="LastFM", remark=NOT_AT_HAND),
    _hcrnn(
        title="Figures 4 to 7, Table 4",
        shows="contexts, gates and attention",
        log="CiteULike, MovieLens",
        section="hcrnn.md#figures",
        table="hcrnn-figures",
        paper_table="hcrnn-figures-paper",
        method="change of h",
        metrics=("CiteULike",),
        remark="best here is of `hcrnn-running`, for few epochs",
    ),
    _iarn(
        title="Table 1",
        shows="sizes of the logs",
        log="Amazon Clothing",
        section="iarn.md#table-1",
        remark="has the printed numbers under another filter; no other log is at hand",
    ),
    _iarn_table2(
        log="Amazon Clothing",
        table="iarn-table2",
        paper_table="iarn-table2-paper",
        part="Amazon Clothing",
        remark="more users than in the paper's Table 1",
    ),
    _iarn_table2(
        log="MovieLens 100K",
        table="iarn-table2",
        paper_table="iarn-table2-paper-movielens",
        part="MovieLens 100K",
        remark=_RELEASE,
    ),
    _iarn_table2(log="MovieLens 1M", table="iarn-table2", part="MovieLens 1M", remark=_RELEASE),
    _iarn_table2(log="Netflix, Electronic, Home, Sport", remark=NOT_AT_HAND),
    _iarn(
        title="Figure 3",
        shows="backbones by the length of histories",
        log="MovieLens",
        section="iarn.md#figure-3",
        table="iarn-figure3",
        paper_table="iarn-figure3-paper",
        part="MovieLens 100K",
        method="IARN-Plain",
        metrics=("rmse, 3 or more",),
        is_drawn=True,
    ),
    _iarn(
        title="Figure 4",
        shows="effect of features",
        log="Amazon Clothing, MovieLens",
        section="iarn.md#figure-4",
        table="iarn-figure4",
        paper_table="iarn-figure4-paper",
        part="Amazon Clothing",
        is_drawn=True,
    ),
    _iarn(
        title="Figure 5",
        shows="gates of one rating",
        log="MovieLens",
        section="iarn.md#figure-5",
        table="iarn-figure5",
        method="",
        is_drawn=True,
    ),
    _criteo(
        title="Table 1",
        shows="sizes of the logs",
        section="criteo.md#table-1",
        table="criteo-table1",
        method="sequences",
        metrics=("YooChoose 1/64",),
    ),
    _criteo(
        title="Tables 2 and 3",
        shows="settings, numbers of weights",
        log="none",
        section="criteo.md#tables-2-and-3",
        table="criteo-table2-params",
        method="GRU + RE + LN",
        metrics=("YooChoose, M",),
        is_papers_log=True,
        remark="",
    ),
    _criteo(
        title="Table 4",
        shows="ten methods",
        section="criteo.md#table-4",
        table="criteo-table4",
        paper_table="criteo-table4-paper",
    ),
    _criteo(
        title="Table 5",
        shows="uplift by the length of sessions",
        section="criteo.md#table-5",
        table="criteo-table5",
        paper_table="criteo-table5-paper",
        metrics=("uplift 6–25, %",),
    ),
    _criteo(
        title="Figures 1 to 3",
        shows="clicks by item and session, steps ahead",
        section="criteo.md#figures",
        table="criteo-figures",
        paper_table="criteo-figures-paper",
        is_drawn=True,
        metrics=("recall@20, step 1",),
    ),
    _criteo(
        title="Further baselines",
        shows="NARM, STAMP and a blend",
        section="criteo.md#models-that-the-study-leaves-out",
        table="criteo-baselines",
        method="Sequential rules with GRU + RE + LN",
        metrics=("recall@20,1",),
        form=BEST_HERE,
        remark="not in the study",
    ),
    _criteo(
        title="Tables 1, 4 and 5, Figure 3",
        shows="the second log",
        log="Internal, not public",
        section="criteo.md#table-4",
        method="",
        remark=NOT_AT_HAND,
    ),
)


def list_tables() -> list[dict[str, str]]:
    """One row for each table of the command line: its name, its title in the paper, what it has, and the logs."""
    by_name: dict[str, list[Entry]] = {}
    for entry in CONTENTS:
        for table in (entry.table, entry.paper_table):
            if table and "/" not in table:  # what is in a folder is of other commands
                by_name.setdefault(table, []).append(entry)
    return [
        {
            "table": name,
            "in the paper": f"{entries[0].paper}, {entries[0].title}",
            "shows": entries[0].shows + (f", {AS_PRINTED}" if name == entries[0].paper_table else ""),
            "on": ", ".join(dict.fromkeys(entry.log for entry in entries)),
        }
        for name, entries in by_name.items()
    ]
