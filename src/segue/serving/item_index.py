"""`ItemIndex`: finds items whose vectors have a large dot product with a query, without a look at all vectors.

    query ──► the clusters nearest to it ──► short codes of their items ──► a shortlist ──► exact scores ──► the best

It is an inverted file with product quantization (IVF-PQ: Jégou, Douze and Schmid, 2011) of faiss, from the extra `ann`.
A code has 4 bits for each dimension, and 32 codes are compared at a time (André, Kermarrec and Le Scouarnec, 2017). The
scores that are returned come from the vectors themselves.

The index searches by distance. One more dimension turns dot products into distances (Bachrach et al., 2014): if M is
the largest norm of an item, all (x, sqrt(M^2 - |x|^2)) have the norm M, and the nearest of them to (q, 0) has the
largest q . x. That keeps clusters of equal size where the norms of the items differ much, as they do with popularity.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from jaxtyping import Float

from segue.data.log import Ids
from segue.errors import ConfigError

MIN_ITEMS = 1_000  # all items are scored in less time than an index takes
TRAINING_ROWS = 64  # vectors of each list that the clusters are computed from
SEED = 0

Vectors = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Effort:
    """How much of an index is searched.

    Attributes:
        lists: number of clusters whose items are compared with the query.
        shortlist: number of items whose exact scores are computed.
    """

    lists: int
    shortlist: int


class ItemIndex:
    """An index of item vectors.

    Attributes:
        num_lists: number of clusters.
    """

    def __init__(self, vectors: Float[Vectors, "I d"]) -> None:
        """Compute the clusters and the codes.

        Args:
            vectors: those of the items 0..I; item 0 is padding.

        Raises:
            ConfigError: the extra `ann` is missing.
        """
        self._faiss = import_faiss()
        self.vectors = vectors
        rows = vectors[1:]
        norms = np.square(rows).sum(1, dtype=np.float64)
        self._norm = sqrt(norms.max(initial=0))
        last = np.sqrt(np.maximum(self._norm**2 - norms, 0))
        points = np.concatenate([rows, last[:, None].astype(np.float32)], 1)
        self.num_lists = max(1, round(sqrt(len(rows)) / 2))
        dim = points.shape[1]
        self._index = self._faiss.index_factory(dim, f"IVF{self.num_lists},PQ{dim}x4fs")
        for clusters in (self._index.cp, self._index.pq.cp):
            clusters.niter, clusters.seed, clusters.min_points_per_centroid = 10, SEED, 1
        self._index.cp.max_points_per_centroid = TRAINING_ROWS
        self._index.train(points)
        self._index.add(points)

    @property
    def num_items(self) -> int:
        """I, the number of items."""
        return len(self.vectors) - 1

    def find(self, query: Float[Vectors, "d"], effort: Effort, k: int) -> tuple[Float[Vectors, "K"], Ids]:
        """The exact scores and the ids of the k best items of a shortlist; of equal ones the lower id comes first."""
        ids = self._shortlist(query, effort)
        scores = self.vectors[ids] @ query
        order = np.argsort(-scores, kind="stable")[:k]
        return scores[order], ids[order]

    def _shortlist(self, query: Float[Vectors, "d"], effort: Effort) -> Ids:
        """The ids of the items whose codes are nearest to a query, ascending."""
        point = np.zeros((1, len(query) + 1), np.float32)
        point[0, :-1] = query * (self._norm / (np.linalg.norm(query) or 1.0))
        lists = self._faiss.SearchParametersIVF(nprobe=min(effort.lists, self.num_lists))
        _, places = self._index.search(point, min(effort.shortlist, self.num_items), params=lists)
        places = np.sort(places[0])
        return places[places >= 0] + 1


def import_faiss():  # type: ignore[no-untyped-def]
    """The module faiss.

    Raises:
        ConfigError: the extra `ann` is missing.
    """
    try:
        import faiss
    except ImportError as error:
        raise ConfigError(f'approximate search needs the extra ann: pip install "segue[ann]" ({error})') from error
    return faiss
