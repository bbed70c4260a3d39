"""Every hand-written part of segue against the plain way: `python -m benchmarks.handwritten`."""
