"""The logs of HGN (Ma et al., KDD 2019): what its authors keep of the publishers' files.

    CDs        rating >= 4 ── users with  5 rows ── items with 8 ── items with a review ── users with 10 items
    Books      rating >= 4 ── users with 20 rows ── items with 20 ─────────────────────── users with 10 items
    the others rating >= 4 ── users with 10 rows ── items with 5

Each rule counts once, in what the rules before it left, so the last one may leave items with fewer rows again.

The paper (section 5.1) gives the last line for all five logs. The authors' notebooks for CDs and Books
(github.com/allenjack/HGN, preprocess) do the first two, and print the numbers of users and items of Table 2. For
MovieLens 20M and Goodreads none was published. That users are counted before items, and once, fits MovieLens: others
report 129,797 users with 10 ratings of 4 or more before any rule about items (Gao et al., 2020, section 4.1), and
Table 2 has as many. For Goodreads nothing is known beyond the paper's sentence.

The files list what a user did at one moment by item or in no known order, and the authors' sort by time was not
stable. So that no item number passes for an order, events of equal time are put in a random one, always the same.
"""

from __future__ import annotations

import numpy as np

from segue.data.datasets.dataset import package_file
from segue.data.filters import frequent_items, frequent_users, rated_at_least, users_of_many_items, without_items
from segue.data.log import Log
from segue.data.readers.table import Frame

# items without a review of more than ten letters in reviews_CDs_and_Vinyl_5.json.gz, as the notebook prints them
CDS_WITHOUT_REVIEW = "hgn_cds_without_review.txt"


def positive(log: Log) -> Log:
    """The rule of the paper's text: ratings of 4 or more, users with 10 of them, items with 5."""
    return frequent_items(frequent_users(rated_at_least(log, 4), 10), 5)


def books(log: Log) -> Log:
    """Amazon Books as the authors' notebook prepares them."""
    return users_of_many_items(frequent_items(frequent_users(rated_at_least(log, 4), 20), 20), 10)


def cds(log: Log) -> Log:
    """Amazon CDs and Vinyl as the authors' notebook prepares them."""
    log = frequent_items(frequent_users(rated_at_least(log, 4), 5), 8)
    return users_of_many_items(without_items(log, package_file(CDS_WITHOUT_REVIEW).split(), "items with a review"), 10)


def without_order_in_ties(events: Frame) -> Frame:
    """The rows in a random order, always the same: a stable sort by time then leaves only those of equal time in it."""
    return events[np.random.default_rng(0).permutation(len(events))]
