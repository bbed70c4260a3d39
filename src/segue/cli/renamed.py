"""Options that have another name than in earlier versions."""

from __future__ import annotations

from collections.abc import Sequence

# earlier name: name of today
RENAMED_OPTIONS = {
    "--every": "--eval-every",
    "--rivals": "--baselines",
    "--no-rivals": "--no-baselines",
    "--ahead": "--horizon",
    "--min-audience": "--min-item-history",
}


def renamed_option(words: Sequence[str]) -> str | None:
    """What to say of the first word that is an earlier name of an option; None if there is none.

    >>> renamed_option(["run", "hgn", "ml-100k", "--every", "2"])
    '--every is now called --eval-every'
    """
    for word in words:
        option = word.partition("=")[0]
        if option in RENAMED_OPTIONS:
            return f"{option} is now called {RENAMED_OPTIONS[option]}"
    return None
