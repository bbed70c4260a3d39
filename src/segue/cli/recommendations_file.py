"""Recommendations to many users: the file they are written to, and what is said about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from segue.reporting.console import progress, say

if TYPE_CHECKING:
    import polars as pl

    from segue.serving.batch import Block


@dataclass
class Counts:
    """How many users and rows were written.

    Attributes:
        users: number of users.
        rows: number of rows.
        unknown: users that the log does not know.
        fallback: users who got the most popular items in place of the model's answer.
        empty: users for whom nothing is left to recommend, and who have no row.
    """

    users: int = 0
    rows: int = 0
    unknown: int = 0
    fallback: int = 0
    empty: int = 0

    def add(self, block: Block) -> None:
        """Count one more block."""
        self.users += block.num_users
        self.rows += len(block.rows)
        self.unknown += block.num_unknown
        self.fallback += block.num_fallback
        self.empty += block.num_empty

    def sentences(self) -> list[str]:
        """What users should know about the file."""
        remarks = {
            "unknown to the model": self.unknown,
            "answered with the most popular items (see the column fallback)": self.fallback,
            "without a row, because nothing is left to recommend": self.empty,
        }
        return [f"{number:,} of {self.users:,} users: {remark}" for remark, number in remarks.items() if number]


def write_recommendations(blocks: Iterator[Block], num_users: int, path: Path) -> Counts:
    """Write the blocks to a file with progress, and say what is in it."""
    from segue.serving.table_writer import write_table

    counts = Counts()
    with progress("recommend", num_users, unit="users") as bar:

        def rows() -> Iterator[pl.DataFrame]:
            for block in blocks:
                counts.add(block)
                yield block.rows
                bar.advance(block.num_users)

        write_table(rows(), path)
    for sentence in counts.sentences():
        say(sentence)
    say(f"recommendations: {path} ({counts.rows:,} rows for {counts.users:,} users)")
    return counts
