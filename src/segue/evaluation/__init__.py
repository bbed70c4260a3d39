"""Full ranking, the metrics of it, and whether a difference is one."""
