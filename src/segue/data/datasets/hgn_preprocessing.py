"""The filters of HGN's experiments (Ma et al., KDD 2019), applied to the publishers' files.

    CDs        rating >= 4 ── users with  5 rows ── items with 8 ── items with a review ── users with 10 items
    Books      rating >= 4 ── users with 20 rows ── items with 20 ─────────────────────── users with 10 items
    the others rating >= 4 ── users with 10 rows ── items with 5

Each filter counts once, in what the filters before it left. The last one may therefore leave items with fewer rows.

The paper (section 5.1) gives the last line for all five logs. The authors' notebooks for CDs and Books
(github.com/allenjack/HGN, preprocess) apply the first two, and print the numbers of users and items of Table 2. No
notebook was published for MovieLens 20M and Goodreads. Counting users before items, and only once, fits MovieLens:
others report 129,797 users with 10 ratings of 4 or more before any filter of items (Gao et al., 2020, section 4.1), and
Table 2 has the same number. For Goodreads nothing is known beyond the sentence in the paper.

The files list events of equal time by item or in an unknown order, and the authors' sort by time was not stable. Events
of equal time are therefore put in a random order, which is always the same, so that the order of item numbers is not
mistaken for a sequence.
"""

from __future__ import annotations

import numpy as np

from segue.data.datasets.dataset import package_file
from segue.data.filters import frequent_items, frequent_users, rated_at_least, users_of_many_items, without_items
from segue.data.log import Log
from segue.data.readers.table import Frame

# items without a review of more than ten letters in reviews_CDs_and_Vinyl_5.json.gz, as the notebook prints them
CDS_WITHOUT_REVIEW = "hgn_cds_without_review.txt"


def filter_positive(log: Log) -> Log:
    """The filters in the text of the paper: ratings of 4 or more, users with 10 of them, items with 5."""
    return frequent_items(frequent_users(rated_at_least(log, 4), 10), 5)


def filter_books(log: Log) -> Log:
    """The filters of the authors' notebook for Amazon Books."""
    return users_of_many_items(frequent_items(frequent_users(rated_at_least(log, 4), 20), 20), 10)


def filter_cds(log: Log) -> Log:
    """The filters of the authors' notebook for Amazon CDs and Vinyl."""
    log = frequent_items(frequent_users(rated_at_least(log, 4), 5), 8)
    return users_of_many_items(without_items(log, package_file(CDS_WITHOUT_REVIEW).split(), "items with a review"), 10)


def shuffle_rows(events: Frame) -> Frame:
    """The rows in a random order, always the same. After a stable sort by time, only ties are in that order."""
    return events[np.random.default_rng(0).permutation(len(events))]
