"""Four events of two users, as rows, a frame and text."""

import polars as pl

ROWS = [("ann", "tea", 30, 4.0), ("bob", "tea", 20, 5.0), ("ann", "jam", 10, 3.5), ("ann", "pie", 10, 1.0)]
FRAME = pl.DataFrame(ROWS, schema=["user", "item", "timestamp", "rating"], orient="row")
TEXT = "user,item,timestamp,rating\n" + "".join(f"{u},{i},{t},{r}\n" for u, i, t, r in ROWS)


def events(log):
    """(user name, item name) of every row, in the order of the log."""
    user, item = log.events()
    return list(zip(log.users.names(user), log.items.names(item), strict=True))
