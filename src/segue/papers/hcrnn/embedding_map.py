"""HCRNN's Figure 4 and Table 4: the embeddings of items and of global contexts.

    items       W_emb, one row per item          contexts    M, one row per global context         both of dimension D
    nearest     by cosine similarity
    map         all rows in the plane, by t-SNE (van der Maaten and Hinton, 2008) with the distance 1 - cosine

An item with several genres is shown with the first of `SHOWN_GENRES` that it has. Items with none of these genres take
part in t-SNE but are not shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from segue.data.log import Floats, Ids, Log
from segue.errors import ConfigError
from segue.models.sequential.hcrnn.model import HCRNN
from segue.papers.hcrnn.genres import Genres
from segue.papers.reproduction import Picture

NUM_NEAREST = 10
NUM_SHOWN = 3  # nearest items, and contexts, as in Table 4
SHOWN_GENRES = ("Film-Noir", "Western", "Animation", "Horror", "Musical", "War", "Sci-Fi")  # rarest first
CONTEXT = "global context"


class ContextGenre(NamedTuple):
    """A global context, numbered from 1 as in the paper, and the genre that a share of its nearest items has."""

    context: int
    genre: str
    share: float


@dataclass(frozen=True, eq=False)
class EmbeddingSpace:
    """The embeddings of a model, normalised to length 1, and the genres of its items.

    Attributes:
        items: (I, D).
        contexts: (K, D).
        genres: of the items.
    """

    items: Floats
    contexts: Floats
    genres: Genres

    @classmethod
    def of(cls, model: HCRNN, genres: Genres) -> EmbeddingSpace:
        """The embeddings of a trained model."""
        tables = (table.detach().double().numpy() for table in (model.item_embedding[1:], model.global_contexts))
        items, contexts = (table / np.linalg.norm(table, axis=1, keepdims=True) for table in tables)
        return cls(items, contexts, genres)

    def nearest_items(self, queries: Floats, count: int) -> Ids:
        """(n, count) ids of the items with the highest cosine to each vector, the nearest first."""
        return np.argsort(-(queries @ self.items.T), axis=1, kind="stable")[:, :count] + 1

    def genre_sharing(self) -> tuple[float, float]:
        """Two shares: of the nearest items, and of all other items, that share a genre with an item."""
        ids = np.arange(1, len(self.items) + 1)
        shared = self.genres.shared(ids[:, None], ids)
        nearest = self.nearest_items(self.items, NUM_NEAREST + 1)[:, 1:]
        others = (shared.sum() - np.trace(shared)) / (len(ids) * (len(ids) - 1))
        return float(np.take_along_axis(shared, nearest - 1, 1).mean()), float(others)

    def context_genres(self) -> list[ContextGenre]:
        """Pairs of a context and a genre: those whose share among the nearest items exceeds that of all items most."""
        has = self.genres.has
        share = has[self.nearest_items(self.contexts, NUM_NEAREST)].mean(1)
        excess = share - has[1:].mean(0)
        pairs: list[ContextGenre] = []
        for index in np.argsort(-excess, axis=None, kind="stable"):
            context, genre = divmod(int(index), excess.shape[1])
            pair = ContextGenre(context + 1, self.genres.names[genre], float(share[context, genre]))
            if not any(pair.context == other.context or pair.genre == other.genre for other in pairs):
                pairs.append(pair)
        return pairs[:NUM_SHOWN]

    def describe(self, pair: ContextGenre, log: Log) -> str:
        """A row of Table 4 as text."""
        vector = self.contexts[pair.context - 1 : pair.context]
        ids = self.nearest_items(vector, NUM_SHOWN)[0]
        films = (
            f"{title} ({cosine:.2f})"
            for title, cosine in zip(log.titles(ids), self.items[ids - 1] @ vector[0], strict=True)
        )
        return f"M({pair.context}), {pair.genre}, {pair.share:.0%} of its {NUM_NEAREST} nearest: {', '.join(films)}"

    def nearest_cosines(self) -> tuple[float, float]:
        """The mean cosine of the contexts to their nearest items, and of as many random directions to theirs."""
        random = np.random.default_rng(0).normal(size=self.contexts.shape)
        queries = (self.contexts, random / np.linalg.norm(random, axis=1, keepdims=True))
        contexts, directions = (float((vectors @ self.items.T).max(1).mean()) for vectors in queries)
        return contexts, directions

    def picture(self, name: str, title: str) -> Picture:
        """Figure 4."""
        positions = _tsne_map(np.concatenate([self.items, self.contexts]))
        kinds = [self._shown_genre(item) for item in range(1, len(self.items) + 1)] + [CONTEXT] * len(self.contexts)
        points = [
            {"t-SNE 1": round(float(x), 1), "t-SNE 2": round(float(y), 1), "of": kind}
            for (x, y), kind in zip(positions, kinds, strict=True)
            if kind
        ]
        points.sort(key=lambda point: (*SHOWN_GENRES, CONTEXT).index(str(point["of"])))
        encoding = {"x": "t-SNE 1", "y": "t-SNE 2", "by": "of", "title": title}
        return Picture(name=name, kind="scatter", rows=tuple(points), encoding=encoding)

    def _shown_genre(self, item: int) -> str:
        names = self.genres.names
        return next(
            (genre for genre in SHOWN_GENRES if genre in names and self.genres.has[item, names.index(genre)]), ""
        )


def tsne() -> Any:
    """scikit-learn's t-SNE.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise ConfigError(f't-SNE needs {error.name}, which is not installed: pip install "segue[viz]"') from error
    return TSNE


def _tsne_map(rows: Floats) -> Floats:
    """(n, 2) positions of unit vectors in the plane; deterministic."""
    perplexity = min(30.0, (len(rows) - 1) / 3)
    positions: Floats = tsne()(metric="cosine", init="pca", perplexity=perplexity, random_state=0).fit_transform(rows)
    return positions
