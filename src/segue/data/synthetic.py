"""Small logs whose answer is known, for tests, documents and the laws of models.

cycle    2 3 4 5 1 2 | 5 1 2 3 4 5 | ...   the next item is certain; popularity knows nothing
markov   mostly a fixed successor, sometimes any item: `strength` says how often
random   items drawn afresh each time: no order to be learnt, however skewed their popularity
rated    any of these with ratings: odd users like odd items, even users even ones
featured any of these with a column `kind` of its items: odd or even, and what is left of a division by 3
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
    """A log of users 1..len(sequences), each doing the items of one sequence in that order.

    Args:
        sequences: item ids from 1, oldest first, one sequence a user; a sequence may be empty.
        num_items: items are named 1..num_items; by default the largest id there is.
        times: the time of every event, in the shape of `sequences`, ascending within a user; without it the log
            has only an order.
        name: what the log is called.

    Raises:
        DataError: an id is below 1 or above `num_items`, or the times do not fit.

    >>> log = from_sequences([[1, 2, 3], [3, 1]])
    >>> log.history(2).tolist(), log.num_items
    ([3, 1], 3)
    """
    item = _flat(sequences)
    known = int(item.max(initial=0)) if num_items is None else num_items
    sizes = np.array([len(sequence) for sequence in sequences], np.int64)
    wrong = np.flatnonzero((item < 1) | (item > known))
    if len(wrong):
        sequence = int(np.searchsorted(np.cumsum(sizes), wrong[0], "right")) + 1
        raise DataError(f"{name}: sequence {sequence} holds item {item[wrong[0]]}, outside 1..{known}")
    return _log(item, sizes, _times(sequences, times, name), num_items=known, name=name)


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


def _log(item: Ids, sizes: Ids, time: Ids | None, *, num_items: int, name: str) -> Log:
    ends = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Log(
        users=Vocab(pl.Series("user", np.arange(1, len(sizes) + 1))),
        items=Vocab(pl.Series("item", np.arange(1, num_items + 1))),
        start=np.concatenate([[0], ends[:-1]]).astype(np.int64),
        stop=ends,
        item=item.astype(np.int32),
        time=time,
        name=name,
    )


def _rng(seed: int) -> np.random.Generator:
    """A stream of its own: whoever uses the same seed on the log must not meet the draws that made it."""
    return np.random.default_rng([seed, *b"synthetic"])


def cycle(
    num_users: int = 100, num_items: int = 20, length: int = 12, *, seed: int = 0, shortest: int | None = None
) -> Log:
    """Each user walks 1, 2, ..., n_items, 1, ... from a random start: what comes next is certain, popularity is flat.

    A user has `length` events, or, with `shortest`, any number from `shortest` to `length`.
    """
    rng = _rng(seed)
    first = rng.integers(num_items, size=(num_users, 1))
    table = (first + np.arange(length)) % num_items + 1
    return _walks(table, rng, num_items=num_items, shortest=shortest, name="cycle")


def markov(
    num_users: int = 100,
    num_items: int = 20,
    length: int = 12,
    *,
    strength: float = 0.8,
    seed: int = 0,
    shortest: int | None = None,
) -> Log:
    """Each item has one successor, which follows with probability `strength`; otherwise any item follows.

    The successors form one random cycle through all items. Lengths as in `cycle`.
    """
    if not 0 <= strength <= 1:
        raise DataError(f"markov: strength={strength} must be a probability")
    rng = _rng(seed)
    ring = rng.permutation(num_items)
    successor = np.empty_like(ring)
    successor[ring] = np.roll(ring, -1)
    table = rng.integers(num_items, size=(num_users, length))
    obeys = rng.random((num_users, length)) < strength
    for step in range(1, length):
        table[:, step] = np.where(obeys[:, step], successor[table[:, step - 1]], table[:, step])
    return _walks(table + 1, rng, num_items=num_items, shortest=shortest, name="markov")


def random(
    num_users: int = 100,
    num_items: int = 20,
    length: int = 12,
    *,
    skew: float = 0.0,
    seed: int = 0,
    shortest: int | None = None,
) -> Log:
    """Items drawn independently: item i with probability proportional to i^-skew. Lengths as in `cycle`."""
    rng = _rng(seed)
    weight = np.arange(1, num_items + 1) ** -float(skew)
    table = rng.choice(num_items, size=(num_users, length), p=weight / weight.sum()) + 1
    return _walks(table, rng, num_items=num_items, shortest=shortest, name="random")


def rated(log: Log) -> Log:
    """The log with ratings: 5 where the numbers of user and item are both odd or both even, 2 elsewhere."""
    user, item = log.events()
    rating = np.zeros(len(log.item), np.float32)
    rating[log.rows()] = np.where((user + item) % 2, 2, 5)
    return replace(log, rating=rating)


def featured(log: Log) -> Log:
    """The log with a column `kind` of its items: a list of two levels, such as ["odd", "odd 2"]."""
    numbers = np.arange(1, log.num_items + 1)
    halves = [("even", "odd")[number % 2] for number in numbers]
    kinds = [[half, f"{half} {number % 3}"] for half, number in zip(halves, numbers, strict=True)]
    return replace(log, item_metadata=pl.DataFrame({"kind": kinds}))


def _walks(table: np.ndarray, rng: np.random.Generator, *, num_items: int, shortest: int | None, name: str) -> Log:
    """The log of a table (U, length) of item ids, each row cut to a random length, with times up to a day apart."""
    num_users, length = table.shape
    low = length if shortest is None else shortest
    if not 0 <= low <= length:
        raise DataError(f"{name}: shortest={shortest} must lie between 0 and length={length}")
    sizes = rng.integers(low, length + 1, size=num_users)
    begin = YEAR_2020 + rng.integers(365 * DAY, size=(num_users, 1))
    time = begin + np.cumsum(rng.integers(1, DAY, size=table.shape), axis=1)
    kept = np.arange(length) < sizes[:, None]
    return _log(table[kept], sizes, time[kept], num_items=num_items, name=name)
