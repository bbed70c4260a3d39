"""segue: what comes next. Sequential recommendation from a log of events, measured honestly."""
