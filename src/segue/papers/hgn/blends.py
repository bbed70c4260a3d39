"""Blends of sequential neighbours with each other and with SASRec, on the log of HGN's tables; they are in no paper.

SASRec has the settings of Table 3. The weight of a blend is chosen on validation, with models of the train part. The
models of train and validation together keep it.
"""

from __future__ import annotations

from segue.papers.hgn.common import direct_experiment, make_table, run_all
from segue.papers.hgn.table3 import METRICS, PAPER
from segue.papers.methods import BlendedMethod, Method
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

_SEQ_KNN = Method(name="Sequential KNN", experiment=direct_experiment("seq-knn"))
_VS_KNN = Method(name="VS-KNN", experiment=direct_experiment("vs-knn"))
_SASREC = Method(name="SASRec", experiment=PAPER["SASRec"][1])
METHODS = (
    _SEQ_KNN,
    _VS_KNN,
    BlendedMethod(name="Sequential KNN with VS-KNN", parts=(_SEQ_KNN, _VS_KNN)),
    BlendedMethod(name="Sequential KNN with SASRec", parts=(_SEQ_KNN, _SASREC)),
)


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Train and test two neighbour models and two blends."""
    results = run_all(METHODS, runs, quick=quick)
    return make_table("Blends of sequential neighbours, Amazon-CDs", results, METRICS, quick=quick)
