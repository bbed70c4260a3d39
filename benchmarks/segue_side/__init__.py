"""The measurements of segue, each the counterpart of a peer's: `python -m benchmarks.segue_side epoch`."""
