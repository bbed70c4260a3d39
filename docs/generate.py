"""Write the generated parts of the pages anew: `python docs/generate.py`.

    <!-- settings: hgn -->      the settings and presets of a model, from its declarations
    <!-- settings: trained -->  the settings of all models that are trained by gradient descent
    <!-- settings: ranking -->  the settings of all models that are trained to rank
    <!-- options -->            options that had another name
    <!-- renamed -->            settings that had another name, from the declarations
    <!-- example: fmc -->       a file of examples/
    <!-- board: ml-100k-leave-one-out -->   a table of the board, from results/board/board.json
    <!-- commands -->           what every command prints for --help
    <!-- service -->            what a service answers a second, from the rows of benchmarks/README.md
    <!-- estimates -->          estimates beside real runs, from benchmarks/results/estimates.json
    <!-- papers: hgn -->        the methods of a paper beside its figures; also `words`, `tables` and `commands`
    <!-- growth -->             exponents, from benchmarks/results/growth.json
    ...
    <!-- end -->

Figures of stored results have blocks too, in `docs/stored_figures.py`, and papers' tables in `segue.papers.report`.

The generated text stands in the committed pages, so that they can be read without a build. A test compares it with the
code.
"""

from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from stored_figures import board_block, comparison_block, refresh_figures, runs_block

from segue.cli import app
from segue.cli.renamed import RENAMED_OPTIONS
from segue.config import Config, Setting
from segue.models.base.gradient_config import GradientModelConfig
from segue.models.base.ranking import RankingConfig
from segue.models.registry import MODELS, find
from segue.papers.contents import list_tables
from segue.papers.overview import Overview
from segue.papers.reproduction import markdown_table

DOCS = Path(__file__).parent
ROOT = DOCS.parent
BLOCK = re.compile(
    r"(<!-- (settings|commands|comparison|board|runs|papers|renamed|options|example|service|estimates|growth)"
    r"(?:: (\S+))? -->\n)"
    r".*?(<!-- end -->)",
    re.DOTALL,
)
MANY = 8
COMMANDS = ["run", "fit", "models", "search", "compare", "board", "blend"]
COMMANDS += ["evaluate", "recommend", "explain", "similar", "export"]
COMMANDS += ["serve", "rules", "store", "monitor", "retrain", "data", "reproduce", "demo"]
WIDTH = 100
SERVICE_COLUMNS = ["service", "what", "connections", "per second", "p50 ms", "p99 ms"]
SERVICE_ROWS = ("recommend", "events in batches of 100", "event, then ask")


def refresh(text: str) -> str:
    """The text of a page with every generated block made anew."""

    def block(match: re.Match[str]) -> str:
        body = MAKERS[match[2]](match[3])
        return f"{match[1]}\n{body}\n{match[4]}"

    return refresh_figures(BLOCK.sub(block, text))


def settings_block(name: str) -> str:
    """The settings table of a model, or of a base class; presets follow in a second table."""
    if name == "trained":
        return table(GradientModelConfig.settings())
    if name == "ranking":
        shared = set(GradientModelConfig.model_fields)
        return table(row for row in RankingConfig.settings() if row.name not in shared)
    model = find(name)
    presets = [f"| `{preset}` | {_assignments(values)} |\n" for preset, values in model.presets.items()]
    second = f"\n| preset | settings |\n|---|---|\n{''.join(presets)}" if presets else ""
    return table(own_settings(model.Config)) + second


def own_settings(config: type[Config]) -> Iterator[Setting]:
    """The settings that a model adds, or whose default differs from the shared one."""
    base = RankingConfig if issubclass(config, RankingConfig) else GradientModelConfig
    shared = {row.name: row.default for row in base.settings()} if issubclass(config, base) else {}
    return (row for row in config.settings() if shared.get(row.name) != row.default)


def table(rows: Iterator[Setting]) -> str:
    """A Markdown table of settings."""
    lines = ["| setting | default | values | meaning |", "|---|---|---|---|"]
    for row in rows:
        values = f"{row.type}, {row.range}" if row.range else row.type
        if row.range.endswith("or none"):
            values = f"{row.type.removesuffix(', or none')}, {row.range}"
        cells = (f"`{row.name}`", row.default, values, " ".join(row.description.split()))
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def renamed_block(_: str) -> str:
    """Earlier names of settings with today's, and the models that have them."""
    models: dict[tuple[str, str], list[str]] = {}
    for name, kind in MODELS.items():
        pairs = {pair: None for base in kind.Config.__mro__ for pair in vars(base).get("renamed", {}).items()}
        for old, new in pairs:
            if new in kind.Config.model_fields:
                models.setdefault((old, new), []).append(f"`{name}`")
    lines = ["| old | new | models |", "|---|---|---|"]
    for (old, new), names in sorted(models.items()):
        lines.append(f"| `{old}` | `{new}` | {', '.join(names) if len(names) <= MANY else f'{len(names)} models'} |")
    return "\n".join([*lines, ""])


def options_block(_: str) -> str:
    """Earlier names of options with today's."""
    rows = [f"| `{old}` | `{new}` |" for old, new in sorted(RENAMED_OPTIONS.items())]
    return "\n".join(["| old | new |", "|---|---|", *rows, ""])


def example_block(name: str) -> str:
    """A file of `examples/`."""
    return f"```python\n{(ROOT / 'examples' / f'{name}.py').read_text(encoding='utf-8')}```\n"


def commands_block(_: str) -> str:
    """A section for every command: the text of its --help."""
    return "\n".join(f"## segue {name}\n\n```text\n{help_text(name)}```\n" for name in COMMANDS)


def service_block(_: str) -> str:
    """The rows of the benchmarks that say how much a service answers, and how fast."""
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    begin = text.index(f"| {SERVICE_COLUMNS[0]} |")
    names, _line, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in _table_lines(text[begin:])]
    found = [dict(zip(names, row, strict=True)) for row in rows]
    chosen = [[row[name] for name in SERVICE_COLUMNS] for row in found if row["what"] in SERVICE_ROWS]
    lines = [f"| {' | '.join(cells)} |" for cells in (SERVICE_COLUMNS, ["---", "---", *["---:"] * 4], *chosen)]
    return "\n".join([*lines, ""])


def estimates_block(_: str) -> str:
    """Estimates of runs beside what they took: estimate / real = factor."""
    stored = json.loads((ROOT / "benchmarks" / "results" / "estimates.json").read_text(encoding="utf-8"))
    rows, repeats = stored["rows"], {run: about["repeats"] for run, about in stored["measured"].items()}
    names = list(next(iter(rows.values())))
    most = max(repeats.values())
    fewer = "".join(f"; {run}: of {count}" for run, count in repeats.items() if count < most)
    kind = f"Medians of {most} runs{fewer}."
    lines = [kind, "", f"| run | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for run, figures in rows.items():
        pairs = [(one["estimate"], one["real"]) for one in figures.values()]
        lines.append(f"| {run} | {' | '.join(f'{one:,g} / {two:,g} = {one / two:.2f}' for one, two in pairs)} |")
    return "\n".join([*lines, ""])


def growth_block(_: str) -> str:
    """The exponents of a fit (an epoch), a ranking, an answer and memory, by model and by what grows."""
    rows = json.loads((ROOT / "benchmarks" / "results" / "growth.json").read_text(encoding="utf-8"))["exponents"]
    lines = ["| model | what grows | fit | ranking | answer | memory |", "|---|---|---:|---:|---:|---:|"]
    for row in rows:
        cells = [row["model"], row["sweep"], *(f"{row[name]:.1f}" for name in ("fit", "rank", "answer", "memory"))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def papers_block(name: str) -> str:
    """A block of the page with all papers, or the names of the tables on the command line."""
    rows = list_tables()
    commands = [[*rows[0]], *([*row.values()] for row in rows)]
    return markdown_table(commands, figures=False) if name == "commands" else Overview(ROOT / "results").block(name)


def _table_lines(text: str) -> Iterator[str]:
    return itertools.takewhile(lambda line: line.startswith("|"), text.splitlines())


def help_text(command: str) -> str:
    """What `segue COMMAND --help` prints on a terminal of `WIDTH` columns."""
    printed = io.StringIO()
    app.help_print([command], console=Console(file=printed, width=WIDTH, color_system=None, force_terminal=False))
    return "".join(f"{line.rstrip()}\n" for line in printed.getvalue().strip().splitlines())


def _assignments(values: dict[str, object]) -> str:
    if not values:
        return "the defaults"
    return " ".join(f"`{name}={_text(value)}`" for name, value in values.items())


def _text(value: object) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


MAKERS = {
    "settings": settings_block,
    "comparison": comparison_block,
    "board": board_block,
    "runs": runs_block,
    "commands": commands_block,
    "renamed": renamed_block,
    "options": options_block,
    "example": example_block,
    "service": service_block,
    "estimates": estimates_block,
    "growth": growth_block,
    "papers": papers_block,
}


def main() -> None:
    for page in [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        new = refresh(text)
        if new != text:
            page.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
