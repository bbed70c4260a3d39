"""The loops there are, by name, and from how much work on each of them pays."""

from segue.nn.compiled.loop import CompiledLoop

row_sums = CompiledLoop("segue.nn.compiled.row_sums", "weighted_row_sums", min_work=50_000_000)
"""Adds weighted rows of a sparse matrix. Its work is the entries to be added; scipy takes 2 to 12 ns for each."""

pair_counts = CompiledLoop("segue.nn.compiled.pair_counts", "count_pairs", min_work=25_000_000)
"""Counts pairs of events for seq-knn. Its work is the number of pairs; numpy and scipy take 20 ns for each."""

neighbours = CompiledLoop("segue.nn.compiled.neighbours", "find_neighbours", min_work=5_000_000)
"""Finds neighbours for item-knn. Its work is the pairs to be compared; numpy and scipy take 100 ns for each."""

best_columns = CompiledLoop("segue.nn.compiled.topk", "best_columns", min_work=25_000)
"""Finds the best columns of each row of scores. Its work is the rows; torch takes 20 us longer for each."""

gated_queries = CompiledLoop("segue.nn.compiled.gates", "gated_queries", min_work=1_000_000, exact=False)
"""The queries of HGN. Its work is the events of a training, all epochs together; torch takes 1 us more for each."""

target_loss = CompiledLoop("segue.nn.compiled.target_loss", "target_loss", min_work=1_000_000, exact=False)
"""The loss of targets and their own negatives. Its work is as that of `gated_queries`."""

session_step = CompiledLoop("segue.nn.compiled.session_step", "SessionStep", min_work=50_000, exact=False)
"""The training step of GRU4Rec. Its work is as that of `gated_queries`; torch takes 30 us more for each event."""

pairwise_sgd = CompiledLoop("segue.nn.compiled.pairwise_sgd", "sgd_steps", min_work=1, exact=False)
"""Trains bprmf by SGD. It is loaded at once, so that a resumed training computes as one that was not interrupted."""
