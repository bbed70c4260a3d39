"""HGN's Figures 3, 4, 6 and 7, and Table 3's columns of the same four logs: methods on logs other than Amazon-CDs.

`segue reproduce hgn-figure4` runs as soon as the log is there; see the page on data sets. All methods have the settings
that were chosen on Amazon-CDs. Their numbers of epochs are chosen on validation of the log itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from segue.papers.hgn import table3 as hgn_table3
from segue.papers.hgn.common import run_all
from segue.papers.hgn.figures import METRICS, by_method, mean_rows
from segue.papers.methods import Method
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache


@dataclass(frozen=True, kw_only=True)
class OtherLog:
    """One of the paper's logs, with its figure and its columns of Table 3.

    Attributes:
        title: as the paper calls it.
        log: its name in the catalogue.
        figure: number of the figure.
        recall: Recall@10 of each method, in the order of Table 3.
        ndcg: NDCG@10, likewise.
        stars: the significance that the paper prints for HGN.
    """

    title: str
    log: str
    figure: int
    recall: tuple[float, ...]
    ndcg: tuple[float, ...]
    stars: str

    @property
    def name(self) -> str:
        """The name of the figure on the command line."""
        return f"hgn-figure{self.figure}"

    @property
    def published(self) -> Mapping[str, Mapping[str, float]]:
        """The published figures of each method of the paper, by metric."""
        figures = zip(self.recall, self.ndcg, strict=True)
        return {
            name: dict(zip(hgn_table3.PUBLISHED_METRICS, pair, strict=True))
            for name, pair in zip(hgn_table3.PAPER, figures, strict=True)
        }

    def methods(self) -> tuple[Method, ...]:
        """The methods of Table 3 with the published figures of this log."""
        return tuple(replace(method, published=self.published.get(method.name, {})) for method in hgn_table3.METHODS)

    def reproduce(self, *, runs: RunCache, quick: bool = False) -> Reproduction:
        """Train and test all methods, and draw both metrics by cut-off."""
        results = run_all(self.methods(), runs, quick=quick, log=self.log)
        rows = [row for result in results for row in mean_rows(result)]
        return hgn_table3.table_with_tests(
            f"HGN (KDD 2019), Figure {self.figure} and Table 3, {self.title}",
            results,
            (*METRICS, hgn_table3.PUBLISHED_METRICS[1]),
            printed_stars=self.stars,
            quick=quick,
            notes=("The settings of all methods were chosen on Amazon-CDs.",),
            log=self.log,
            log_title=self.title,
            pictures=tuple(
                by_method(metric, f"{self.name}-{metric}", rows, self.title) for metric in ("recall", "ndcg")
            ),
        )


OTHER_LOGS = (
    OtherLog(
        title="MovieLens-20M",
        log="ml-20m",
        figure=3,
        recall=(0.0774, 0.0804, 0.0904, 0.0833, 0.1169, 0.1069, 0.1255),
        ndcg=(0.0785, 0.0815, 0.0946, 0.0828, 0.1116, 0.1014, 0.1195),
        stars="*",
    ),
    OtherLog(
        title="Amazon-Books",
        log="amazon-books",
        figure=4,
        recall=(0.0260, 0.0266, 0.0301, 0.0303, 0.0297, 0.0358, 0.0429),
        ndcg=(0.0151, 0.0157, 0.0173, 0.0174, 0.0216, 0.0240, 0.0298),
        stars="***",
    ),
    OtherLog(
        title="GoodReads-Children",
        log="goodreads-children",
        figure=6,
        recall=(0.0814, 0.0857, 0.0978, 0.0879, 0.1060, 0.1165, 0.1263),
        ndcg=(0.0664, 0.0715, 0.0821, 0.0720, 0.0943, 0.1007, 0.1130),
        stars="*",
    ),
    OtherLog(
        title="GoodReads-Comics",
        log="goodreads-comics",
        figure=7,
        recall=(0.0788, 0.0958, 0.1288, 0.1078, 0.1473, 0.1494, 0.1743),
        ndcg=(0.0713, 0.0912, 0.1328, 0.1171, 0.1629, 0.1592, 0.1927),
        stars="***",
    ),
)
