"""Small synthetic logs with a known structure, for tests, examples and the laws of models.

cycle           2 3 4 5 1 2 | 5 1 2 3 4 5 | ...   the next item is certain, and all items are equally popular
markov          mostly a fixed successor, sometimes any item; `strength` is the probability of the successor
random          items drawn independently: there is no order to learn, however skewed their popularity
with_ratings    any of these with ratings: odd users like odd items, even users like even items
with_features   any of these with an item column `kind`: odd or even, and the remainder of a division by 3
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from segue.data.log import Ids, Log, Vocab
from segue.errors import DataError

YEAR_2020 = 1_577_836_800
DAY = 86_400


def from_sequences(
    sequences: Sequence[Sequence[int]],
    *,
    num_items: int | None = None,
    times: Sequence[Sequence[int]] | None = None,
    name: str = "sequences",
) -> Log:
    """A log of users 1..len(sequences), one sequence of items each.

    Args:
        sequences: item ids from 1, oldest first, one sequence for each user; a sequence may be empty.
        num_items: the number of items, named 1..num_items; by default the largest id.
        times: the time of every event, in the shape of `sequences`, ascending within a user. Without them the log has
            only an order.
        name: the name of the log.

    Raises:
        DataError: an id is below 1 or above `num_items`, or the times do not fit.

    >>> log = from_sequences([[1, 2, 3], [3, 1]])
    >>> log.history(2).tolist(), log.num_items
    ([3, 1], 3)
    """
    item = _flat(sequences)
    largest = int(item.max(initial=0)) if num_items is None else num_items
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    wrong = np.flatnonzero((item < 1) | (item > largest))
    if len(wrong):
        sequence = int(np.searchsorted(np.cumsum(lengths), wrong[0], "right")) + 1
        raise DataError(f"{name}: sequence {sequence} holds item {item[wrong[0]]}, outside 1..{largest}")
    return _log(item, lengths, _times(sequences, times, name), num_items=largest, name=name)


def _flat(sequences: Sequence[Sequence[int]]) -> Ids:
    return np.concatenate([np.empty(0, np.int64), *(np.asarray(s, np.int64) for s in sequences)])


def _times(sequences: Sequence[Sequence[int]], times: Sequence[Sequence[int]] | None, name: str) -> Ids | None:
    if times is None:
        return None
    if [len(t) for t in times] != [len(s) for s in sequences]:
        raise DataError(f"{name}: `times` must have one time for every event of `sequences`")
    for user, stamps in enumerate(times, 1):
        if (np.diff(np.asarray(stamps, np.int64)) < 0).any():
            raise DataError(f"{name}: the times of sequence {user} go backwards: {list(stamps)}")
    return _flat(times)


def _log(item: Ids, lengths: Ids, time: Ids | None, *, num_items: int, name: str) -> Log:
    return Log.from_columns(
        users=Vocab(pl.Series("user", np.arange(1, len(lengths) + 1))),
        items=Vocab(pl.Series("item", np.arange(1, num_items + 1))),
        lengths=np.concatenate([[0], lengths]),
        item=item.astype(np.int32),
        time=time,
        name=name,
    )


def _rng(seed: int) -> np.random.Generator:
    """A random stream of its own: code that uses the same seed on the log must not repeat the draws that made it."""
    return np.random.default_rng([seed, *b"synthetic"])


def cycle(
    num_users: int = 100, num_items: int = 20, length: int = 12, *, seed: int = 0, shortest: int | None = None
) -> Log:
    """Each user has the items 1, 2, ..., num_items, 1, ... from a random start: the next item is certain.

    A user has `length` events or, with `shortest`, a random number from `shortest` to `length`.
    """
    rng = _rng(seed)
    first = rng.integers(num_items, size=(num_users, 1))
    table = (first + np.arange(length)) % num_items + 1
    return _from_table(table, rng, num_items=num_items, shortest=shortest, name="cycle")


def markov(
    num_users: int = 100,
    num_items: int = 20,
    length: int = 12,
    *,
    strength: float = 0.8,
    seed: int = 0,
    shortest: int | None = None,
) -> Log:
    """Each item has one successor, which follows with probability `strength`; otherwise a random item follows.

    The successors form one random cycle through all items. The lengths are those of `cycle`.
    """
    if not 0 <= strength <= 1:
        raise DataError(f"markov: strength={strength} must be a probability")
    rng = _rng(seed)
    ring = rng.permutation(num_items)
    successor = np.empty_like(ring)
    successor[ring] = np.roll(ring, -1)
    table = rng.integers(num_items, size=(num_users, length))
    follows = rng.random((num_users, length)) < strength
    for step in range(1, length):
        table[:, step] = np.where(follows[:, step], successor[table[:, step - 1]], table[:, step])
    return _from_table(table + 1, rng, num_items=num_items, shortest=shortest, name="markov")


def random(
    num_users: int = 100,
    num_items: int = 20,
    length: int = 12,
    *,
    skew: float = 0.0,
    seed: int = 0,
    shortest: int | None = None,
) -> Log:
    """Items are drawn independently, item i with probability proportional to i^-skew. Lengths are those of `cycle`."""
    rng = _rng(seed)
    weight = np.arange(1, num_items + 1) ** -float(skew)
    table = rng.choice(num_items, size=(num_users, length), p=weight / weight.sum()) + 1
    return _from_table(table, rng, num_items=num_items, shortest=shortest, name="random")


def with_ratings(log: Log) -> Log:
    """The log with ratings: 5 if the ids of user and item are both odd or both even, otherwise 2."""
    user, item = log.events()
    rating = np.zeros(len(log.item), np.float32)
    rating[log.rows()] = np.where((user + item) % 2, 2, 5)
    return replace(log, rating=rating)


def with_features(log: Log) -> Log:
    """The log with an item column `kind`: a list of two levels, such as ["odd", "odd 2"]."""
    numbers = np.arange(1, log.num_items + 1)
    halves = [("even", "odd")[number % 2] for number in numbers]
    kinds = [[half, f"{half} {number % 3}"] for half, number in zip(halves, numbers, strict=True)]
    return replace(log, item_metadata=pl.DataFrame({"kind": kinds}))


def _from_table(table: np.ndarray, rng: np.random.Generator, *, num_items: int, shortest: int | None, name: str) -> Log:
    """A log of a table (U, length) of item ids: each row is cut to a random length and gets times up to a day apart."""
    num_users, length = table.shape
    low = length if shortest is None else shortest
    if not 0 <= low <= length:
        raise DataError(f"{name}: shortest={shortest} must lie between 0 and length={length}")
    lengths = rng.integers(low, length + 1, size=num_users)
    begin = YEAR_2020 + rng.integers(365 * DAY, size=(num_users, 1))
    time = begin + np.cumsum(rng.integers(1, DAY, size=table.shape), axis=1)
    keep = np.arange(length) < lengths[:, None]
    return _log(table[keep], lengths, time[keep], num_items=num_items, name=name)
