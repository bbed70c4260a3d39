"""Write the generated parts of the pages anew: `python docs/generate.py`.

    <!-- settings: hgn -->      the settings and presets of a model, from its declarations
    <!-- settings: trained -->  the settings of all models that are trained by gradient descent
    <!-- settings: ranking -->  the settings of all models that are trained to rank
    <!-- options -->            options that had another name
    <!-- renamed -->            settings that had another name, from the declarations
    <!-- comparison: ml-100k --> a short table of a file in results/comparisons
    <!-- runs: neumf-ml-100k --> the figures of the commands of a file in results/runs
    <!-- example: fmc -->       a file of examples/
    <!-- commands -->           what every command prints for --help
    <!-- service -->            what a service answers a second, from the rows of benchmarks/README.md
    <!-- estimates -->          estimates beside real runs, from benchmarks/results/estimates.json
    <!-- papers: hgn -->        the methods of a paper beside its figures; also `words`, `tables` and `commands`
    <!-- growth -->             exponents, from benchmarks/results/growth.json
    ...
    <!-- end -->

    <!-- figure: hgn-table3; SASRec; recall@10 -->.0652<!-- end -->    one figure of a file in results, within a line

The generated text stands in the committed pages, so that they can be read without a build. A test compares it with the
code. Tables of results have blocks of their own; see `segue.papers.report`.
"""

from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from segue.cli import app
from segue.cli.renamed import RENAMED_OPTIONS
from segue.config import Config, Setting
from segue.models.base.model import GradientModelConfig
from segue.models.base.ranking import RankingConfig
from segue.models.registry import MODELS, find
from segue.papers.contents import list_tables
from segue.papers.overview import Overview
from segue.papers.reproduction import markdown_table
from segue.reporting.numbers import metric_text

DOCS = Path(__file__).parent
ROOT = DOCS.parent
BLOCK = re.compile(
    r"(<!-- (settings|commands|comparison|runs|papers|renamed|options|example|service|estimates|growth)(?:: (\S+))?"
    r" -->\n)"
    r".*?(<!-- end -->)",
    re.DOTALL,
)
FIGURE = re.compile(r"(<!-- figure: ([^;>]+); ([^;>]+); ([^;>]+?)(?:; ([^>]+?))? -->)[^<]*(<!-- end -->)")
MANY = 8
NDCG = ("mean", "low", "high")
COMMANDS = ["run", "fit", "models", "search", "compare", "blend"]
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

    def figure(match: re.Match[str]) -> str:
        return match[1] + metric_text(stored_figure(match[2], match[3], match[4], match[5])) + match[6]

    return FIGURE.sub(figure, BLOCK.sub(block, text))


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


def comparison_block(name: str) -> str:
    """The models of a comparison by their NDCG@10, with intervals, marks and cost."""
    facts = json.loads((ROOT / "results" / "comparisons" / f"{name}.json").read_text(encoding="utf-8"))
    lines = [
        "| model | recall@10 | ndcg@10 | 95% interval | training, CPU s | peak MB of its process |",
        "|---|---:|---:|---|---:|---:|",
    ]
    for model in facts["models"]:
        ndcg, recall = model["metrics"]["ndcg@10"], model["metrics"]["recall@10"]["mean"]
        mean, low, high, recall = (f"{v:.4f}".removeprefix("0") for v in (*(ndcg[k] for k in NDCG), recall))
        marks = ndcg.get("against", {"stars": ""})["stars"].replace("*", "▾")
        best = facts["best_models"][model["model"]]
        cost = f"{best['training']['cpu_seconds']:.1f} | {best['cost']['peak_mb']:,.0f}"
        lines.append(f"| {model['model']} | {recall} | {mean} {marks} | {low}–{high} | {cost} |".replace("  ", " "))
    how, protocol = facts["comparison"], facts["protocol"]
    command = f"segue compare {name} --trials {how['trials']} --minutes {how['minutes']:g} --jobs {how['jobs']}"
    about = (
        f"`{command}`, protocol {protocol['name']} ({protocol['fingerprint']}), {facts['instances']:,} test instances."
    )
    return "\n".join([about, "", *lines, ""])


def runs_block(name: str) -> str:
    """The figures of commands; of several seeds the mean, the lowest and the highest."""
    stored = json.loads((ROOT / "results" / "runs" / f"{name}.json").read_text(encoding="utf-8"))
    metrics, rows = stored["metrics"], stored["rows"]
    lines = [f"| model | {' | '.join(metrics)} | command |", f"|---|{'---:|' * len(metrics)}---|"]
    for row in rows:
        figures = [_figure_cell(row["figures"].get(metric)) for metric in metrics]
        lines.append(f"| {' | '.join([row['name'], *figures])} | `{row['command']}` |")
    protocols = {(row["experiment"]["protocol"]["name"], row["experiment"]["protocol"]["fingerprint"]) for row in rows}
    about = [f"{count:,} test instances" for count in sorted({row["instances"] for row in rows})]
    about += [f"protocol {protocol} ({fingerprint})" for protocol, fingerprint in sorted(protocols)]
    about += [f"segue {version}" for version in sorted({row["version"] for row in rows})]
    return "\n".join([*lines, "", f"{', '.join(about)}, one thread; `results/runs/{name}.json`.", ""])


def _figure_cell(figure: dict[str, Any] | None) -> str:
    if figure is None:
        return ""
    runs = figure.get("runs")
    seeds = f" ({metric_text(min(runs))}–{metric_text(max(runs))})" if runs else ""
    return f"{metric_text(figure['mean'])}{seeds}"


def stored_figure(name: str, method: str, metric: str, part: str | None = None) -> float:
    """The figure of a method in a file of `results`: of a paper's table, of a comparison, or of runs.

    Args:
        name: of the file, without its ending.
        method: or the model, or the name of the row.
        metric: such as recall@10.
        part: the beginning of the title of the table's part, where the method is in several.
    """
    stored = json.loads((ROOT / "results" / f"{name}.json").read_text(encoding="utf-8"))
    found = [
        row["measured"] if "measured" in row else row["figures"][metric]["mean"]
        for row in stored.get("rows", ())
        if method == row.get("method", row.get("name"))
        and row.get("metric", metric) == metric
        and row.get("part", "").startswith(part or "")
    ]
    found += [model["metrics"][metric]["mean"] for model in stored.get("models", ()) if model["model"] == method]
    if len(found) != 1:
        raise LookupError(f"results/{name}.json has {len(found)} figures for {method}; {metric}; {part or 'any part'}")
    return float(found[0])


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
