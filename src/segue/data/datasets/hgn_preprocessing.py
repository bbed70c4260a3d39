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

from segue.data.filters import at_least, frequent_items, frequent_users, varied_users, without_items
from segue.data.log import Log
from segue.data.readers.table import Frame

# items without a review of more than ten letters in reviews_CDs_and_Vinyl_5.json.gz, as the notebook prints them
CDS_WITHOUT_REVIEW = """
    1591796423 6303439330 6305712085 B000001V37 B000001ZWU B0000024F7 B0000024UD B000002C45 B000002IIN B000002NUD
    B000002O44 B000002SEL B000003YFA B0000046K4 B000005KWU B000005L8T B000005NMW B000005TN9 B000008M3P B000008UPI
    B00000G24T B00000ICH9 B00001X59W B000028BCJ B00003CK5M B00003G1KA B00004HYKL B00004SR1J B00004TW91 B00004WF6M
    B00005MMN9 B0000648Y6 B000078JK0 B0000AQJOV B0000BWVA3 B0000DBJAS B0001IXTU4 B0001L7RZY B0002LMLSQ B0002LO7GU
    B0002PUH1U B00061NLEK B00065U04A B00065VSKU B0008ENI02 B0009VNCG4 B000B9EYFM B000BH4Z08 B000CAKQ0M B000F2CBZU
    B000F6YW5S B000I2J7M2 B000JJSJBE B000LC4ZNA B000P46S3E B000PTYUR0 B000Q35SAI B000R0ML28 B000SGHSLU B000VJE1VY
    B000VKL6UW B000VSYHL4 B000WZ8RVC B000X1L852 B000XC906K B000XVT7SM B001AIG41K B001BFZ0RG B001BSH10M B001CIOCRQ
    B001QFNSC0 B001QWFUCY B0025XV1LW B002F3BOXC B002LZUKUC B002NVTBOU B002R0HT28 B0032Y8XKA B0035LURDG B0039TD7WC
    B003AHWF58 B003CKMNAA B0044WMPZI B004ODO77G B004X6J3DM B004YOECTI B005I735LG B006X0K1ZA B007JSXQIO B007KLY8FA
    B007RBKZRI B008NO1PUE B009CYYJIE B00AV4DXEA B00B5UBGTS B00D1QBQ2G B00DSAUMXO
"""


def positive(log: Log) -> Log:
    """The rule of the paper's text: ratings of 4 or more, users with 10 of them, items with 5."""
    return frequent_items(frequent_users(at_least(log, 4), 10), 5)


def books(log: Log) -> Log:
    """Amazon Books as the authors' notebook prepares them."""
    return varied_users(frequent_items(frequent_users(at_least(log, 4), 20), 20), 10)


def cds(log: Log) -> Log:
    """Amazon CDs and Vinyl as the authors' notebook prepares them."""
    log = frequent_items(frequent_users(at_least(log, 4), 5), 8)
    return varied_users(without_items(log, CDS_WITHOUT_REVIEW.split(), "items with a review"), 10)


def without_order_in_ties(events: Frame) -> Frame:
    """The rows in a random order, always the same: a stable sort by time then leaves only those of equal time in it."""
    return events[np.random.default_rng(0).permutation(len(events))]
