"""How help texts are shown: texts are wrapped to the width of the terminal, whatever the line breaks in the source."""

from __future__ import annotations

import re
from typing import Any

from cyclopts import Group
from cyclopts.help import DefaultFormatter, InlineText

# the groups of options, in the order in which the help shows them
MODEL_GROUP = Group("Model", sort_key=1)
TRAINING_GROUP = Group("Training", sort_key=2)
BUDGET_GROUP = Group("Budget", sort_key=3)
EVALUATION_GROUP = Group("Evaluation", sort_key=4)
STAGES_GROUP = Group("Two stages", sort_key=5)
CANDIDATES_GROUP = Group("Items that may be recommended", sort_key=6)
OUTPUT_GROUP = Group("Output", sort_key=7)
READING_GROUP = Group("Reading a file (a named data set needs none of these)", sort_key=8)


class HelpFormatter(DefaultFormatter):
    """The standard form of help, with paragraphs that are wrapped as a whole."""

    def __call__(self, console: Any, options: Any, panel: Any) -> None:
        """Show a group of options or commands."""
        for entry in panel.entries:
            _join_lines(entry.description)
        super().__call__(console, options, panel)

    def render_description(self, console: Any, options: Any, description: Any) -> None:
        """Show what a command does."""
        _join_lines(description)
        super().render_description(console, options, description)


def _join_lines(text: Any) -> None:
    """Replace single line breaks of a text by spaces; empty lines stay."""
    content = text.primary_renderable if isinstance(text, InlineText) else text
    if hasattr(content, "plain"):
        content.plain = re.sub(r"(?<!\n)\n(?!\n)", " ", content.plain)
