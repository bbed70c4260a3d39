"""HCRNN's Figure 4 and Table 4: where items and global contexts stand to each other.

    items       W_emb, a row an item          contexts    M, a row a global context         both of size D
    closest     by the cosine of two rows
    map         all rows in the plane, by t-SNE (van der Maaten and Hinton, 2008) of the distance 1 - cosine

An item of several genres is drawn as the first of `DRAWN` that it has. Items of no such genre are left out of the
picture, not of the map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from segue.data.log import Ids, Log
from segue.errors import ConfigError
from segue.models.sequential.hcrnn.model import HCRNN
from segue.papers.hcrnn.genres import Genres
from segue.papers.reproduction import Picture

Vectors = np.ndarray[Any, np.dtype[np.float64]]

CLOSEST = 10
TOLD = 3  # of the closest items, and of the contexts, as in Table 4
DRAWN = ("Film-Noir", "Western", "Animation", "Horror", "Musical", "War", "Sci-Fi")  # the rarest first
CONTEXT = "global context"


class Aligned(NamedTuple):
    """A global context, counted from 1 as the paper does, the genre of its closest items, their share of it."""

    context: int
    genre: str
    share: float


@dataclass(frozen=True, eq=False)
class Space:
    """The vectors of a model, each of length 1, and the genres of its items.

    Attributes:
        items: (I, D).
        contexts: (K, D).
        genres: of the items.
    """

    items: Vectors
    contexts: Vectors
    genres: Genres

    @classmethod
    def of(cls, model: HCRNN, genres: Genres) -> Space:
        """That of a trained model."""
        found = (table.detach().double().numpy() for table in (model.item[1:], model.memory))
        items, contexts = (table / np.linalg.norm(table, axis=1, keepdims=True) for table in found)
        return cls(items, contexts, genres)

    def closest(self, asked: Vectors, count: int) -> Ids:
        """(n, count) ids of the items that are closest to each vector, the closest first."""
        return np.argsort(-(asked @ self.items.T), axis=1, kind="stable")[:, :count] + 1

    def alike(self) -> tuple[float, float]:
        """How many of an item's closest others share a genre with it, and how many of all others: two shares."""
        ids = np.arange(1, len(self.items) + 1)
        shared = self.genres.shared(ids[:, None], ids)
        near = self.closest(self.items, CLOSEST + 1)[:, 1:]
        others = (shared.sum() - np.trace(shared)) / (len(ids) * (len(ids) - 1))
        return float(np.take_along_axis(shared, near - 1, 1).mean()), float(others)

    def aligned(self) -> list[Aligned]:
        """One context for each of some genres: where the closest items have it most often, over what all items do."""
        has = self.genres.has
        share = has[self.closest(self.contexts, CLOSEST)].mean(1)
        lead = share - has[1:].mean(0)
        found: list[Aligned] = []
        for place in np.argsort(-lead, axis=None, kind="stable"):
            context, genre = divmod(int(place), lead.shape[1])
            one = Aligned(context + 1, self.genres.names[genre], float(share[context, genre]))
            if not any(one.context == other.context or one.genre == other.genre for other in found):
                found.append(one)
        return found[:TOLD]

    def told(self, one: Aligned, log: Log) -> str:
        """A line of Table 4."""
        vector = self.contexts[one.context - 1 : one.context]
        ids = self.closest(vector, TOLD)[0]
        films = (
            f"{title} ({near:.2f})"
            for title, near in zip(log.titles(ids), self.items[ids - 1] @ vector[0], strict=True)
        )
        return f"M({one.context}), {one.genre}, {one.share:.0%} of its {CLOSEST} closest: {', '.join(films)}"

    def reach(self) -> tuple[float, float]:
        """The cosine of a context and its closest item, and of a random direction and its own: means of K."""
        drawn = np.random.default_rng(0).normal(size=self.contexts.shape)
        asked = (self.contexts, drawn / np.linalg.norm(drawn, axis=1, keepdims=True))
        contexts, directions = (float((some @ self.items.T).max(1).mean()) for some in asked)
        return contexts, directions

    def picture(self, name: str, title: str) -> Picture:
        """Figure 4."""
        places = _plane(np.concatenate([self.items, self.contexts]))
        kinds = [self._drawn_as(item) for item in range(1, len(self.items) + 1)] + [CONTEXT] * len(self.contexts)
        points = [
            {"t-SNE 1": round(float(x), 1), "t-SNE 2": round(float(y), 1), "of": kind}
            for (x, y), kind in zip(places, kinds, strict=True)
            if kind
        ]
        points.sort(key=lambda point: (*DRAWN, CONTEXT).index(str(point["of"])))
        encoding = {"x": "t-SNE 1", "y": "t-SNE 2", "by": "of", "title": title}
        return Picture(name=name, kind="scatter", rows=tuple(points), encoding=encoding)

    def _drawn_as(self, item: int) -> str:
        names = self.genres.names
        return next((genre for genre in DRAWN if genre in names and self.genres.has[item, names.index(genre)]), "")


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


def _plane(rows: Vectors) -> Vectors:
    """(n, 2) where rows of length 1 stand on a map; the same each time."""
    perplexity = min(30.0, (len(rows) - 1) / 3)
    found: Vectors = tsne()(metric="cosine", init="pca", perplexity=perplexity, random_state=0).fit_transform(rows)
    return found
