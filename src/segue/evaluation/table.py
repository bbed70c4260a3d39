"""`table`: models side by side, with all that is needed to believe it.

    model      recall@10      ndcg@10       coverage@10   train s
    pop         .0065 ***      .0058 ***          .1%         2        value, and whether it differs from the best
               .0060–.0071    .0052–.0064                              95% interval
    hgn         .0458          .0394             31.2%      102
               .0438–.0479    .0376–.0412
    protocol ... · left out ... · what the stars mean

Only results of the same questions can stand in one table: same log, same protocol, same cases.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from segue.errors import require
from segue.evaluation.metrics import LOWER, answers, asked, coverage, measure, parse, popularity, value
from segue.evaluation.predictions import RatingPredictions
from segue.evaluation.protocol import Protocol
from segue.evaluation.ranks import Ids, Ranks
from segue.evaluation.significance import Comparison, Test, Values, best, compare, holm, interval

METRICS = ("recall@10", "ndcg@10", "mrr@10")
CONFIDENCE = 0.95
TIED = 0.01  # of a figure: what the tie rule may change without being mentioned


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """What one model achieved.

    Attributes:
        model: its name in the table.
        ranks: its answers, question by question, so that models can be compared: where it ranked the targets, or
            what it predicted.
        protocol: how it was measured.
        log: the fingerprint of the log that was asked about.
        items: how many items were ranked.
        counts: (I + 1,) how often each item occurs in what was trained on, to say how popular the recommended are.
        seconds: what training took; None where there was none to speak of.
        baseline: whether other models are to be held against this one. Where no result is declared a baseline, all
            are held against the best.
        warnings: what makes figures of this log and protocol doubtful, one sentence each.
    """

    model: str
    ranks: Ranks | RatingPredictions
    protocol: Protocol
    log: str
    items: int
    counts: Ids | None = None
    seconds: float | None = None
    baseline: bool = False
    warnings: tuple[str, ...] = ()


def summary(results: Sequence[Result], metrics: Sequence[str] = METRICS, *, test: Test = "t") -> dict[str, Any]:
    """All that `table` shows, in full precision, as plain values ready for JSON.

    Each metric's reference is the best declared baseline, or the best of all where none is declared. The other
    models (with baselines declared: those that are none) are tested against it, and the p-values of all models and
    metrics are corrected together by Holm's method.

    Raises:
        ConfigError: the results are of different logs, protocols or questions; unknown metric or test.
    """
    _comparable(results)
    require(len(metrics) > 0, "no metric to show; name one, such as recall@10")
    first = results[0]
    values = {m: {r.model: measure(r.ranks, m) for r in results if answers(r.ranks, m)} for m in metrics}
    tested = _comparisons(results, values, test)
    return {
        "protocol": {
            **first.protocol.as_dict(),
            "fingerprint": first.protocol.fingerprint,
            "sentence": first.protocol.describe(),
        },
        "log": first.log,
        "items": first.items,
        "questions": len(first.ranks),
        **({} if isinstance(first.ranks, RatingPredictions) else {"targets": len(first.ranks.rank)}),
        "users": len(np.unique(first.ranks.user)),
        "left_out": first.ranks.dropped,
        "warnings": list(dict.fromkeys(warning for r in results for warning in r.warnings)),
        "confidence": CONFIDENCE,
        "test": test,
        "comparisons": len(tested),
        "baselines": [r.model for r in results if r.baseline],
        "models": [
            {
                "model": r.model,
                "seconds": r.seconds,
                **_reach(r, parse(metrics[0])[1]),
                "metrics": {m: _cell(m, values[m], r, tested.get((m, r.model))) for m in metrics},
            }
            for r in results
        ],
    }


def _reach(result: Result, k: int) -> dict[str, float | None]:
    """What is recommended to all users together; nothing where ratings were predicted."""
    ranks, counts = result.ranks, result.counts
    if isinstance(ranks, RatingPredictions):
        return {}
    popular = None if counts is None else float(np.nanmean(popularity(ranks, counts, k)))
    return {f"coverage@{k}": coverage(ranks, k, result.items), f"popularity@{k}": popular}


def as_json(results: Sequence[Result], metrics: Sequence[str] = METRICS, *, test: Test = "t") -> str:
    """`summary` as JSON text."""
    return json.dumps(summary(results, metrics, test=test), indent=2)


def table(results: Sequence[Result], metrics: Sequence[str] = METRICS, *, test: Test = "t") -> Table:
    """The results as a table for a terminal, the best value of each metric in bold, footnotes below.

    Raises:
        ConfigError: as `summary`.
    """
    facts = summary(results, metrics, test=test)
    shown = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        title=Text(_title(facts), style="bold"),
        title_justify="left",
        caption=Text("\n".join(_footnotes(facts))),
        caption_justify="left",
    )
    covered = next((key for key in facts["models"][0] if key.startswith("coverage@")), None)
    shown.add_column("model", overflow="fold")
    for metric in metrics:
        shown.add_column(metric, no_wrap=True)
    if covered:
        shown.add_column(f"{covered}\npopularity", justify="right", no_wrap=True)
    shown.add_column("train\ns", justify="right", no_wrap=True)
    for row in facts["models"]:
        seconds = "–" if row["seconds"] is None else f"{row['seconds']:,.{0 if row['seconds'] >= 10 else 1}f}"
        cells = [_text(row["metrics"][metric]) for metric in metrics]
        reach = [_reached(row[covered], row[covered.replace("coverage", "popularity")])] if covered else []
        shown.add_row(Text(row["model"]), *cells, *reach, seconds)
    return shown


def _reached(covered: float, popular: float | None) -> Text:
    reach = Text(f"{100 * covered:.1f}%")
    return reach if popular is None else reach.append(f"\n{_short(popular)[:3]}", "dim")


def _comparable(results: Sequence[Result]) -> None:
    """Refuse what may not stand in one table."""
    require(len(results) > 0, "no results to show")
    names = [r.model for r in results]
    double = next((name for name in names if names.count(name) > 1), None)
    require(double is None, f"two results are called {double!r}; give each its own name")
    first = results[0]
    for r in results[1:]:
        pair = f"{first.model!r} and {r.model!r} cannot be compared: "
        require(
            first.protocol.fingerprint == r.protocol.fingerprint,
            f"{pair}protocol {first.protocol.name} ({first.protocol.fingerprint}) on one side, {r.protocol.name} "
            f"({r.protocol.fingerprint}) on the other; measure both by the same protocol",
        )
        require(
            (first.log, first.items) == (r.log, r.items),
            f"{pair}log {first.log} ({first.items:,} items) on one side, {r.log} ({r.items:,} items) on the other; "
            "measure both on the same log",
        )
        require(
            first.ranks.alike(r.ranks),
            f"{pair}{len(first.ranks):,} questions on one side, {len(r.ranks):,} on the other, not the same; measure "
            "both on the same part of the split",
        )


def _comparisons(
    results: Sequence[Result], values: dict[str, dict[str, Values]], test: Test
) -> dict[tuple[str, str], Comparison]:
    """By metric and model: every test of the table, corrected for all of them."""
    baselines = [r.model for r in results if r.baseline]
    made: dict[tuple[str, str], Comparison] = {}
    for metric, figures in values.items():
        by_model = {name: -v if metric in LOWER else v for name, v in figures.items()}
        if len(by_model) < 2:
            continue
        reference = best({name: by_model[name] for name in baselines if name in by_model} or by_model)
        others = {name: v for name, v in by_model.items() if name == reference or name not in baselines}
        users = asked(results[0].ranks, metric)
        made.update({(metric, c.model): c for c in compare(others, users, baseline=reference, test=test)})
    corrected = holm([c.p for c in made.values()])
    return {key: replace(c, p_holm=p) for (key, c), p in zip(made.items(), corrected, strict=True)}


def _cell(metric: str, by_model: dict[str, Values], result: Result, tested: Comparison | None) -> dict[str, Any] | None:
    if result.model not in by_model:
        return None
    values, ranks = by_model[result.model], result.ranks
    low, high = interval(values, asked(ranks, metric), confidence=CONFIDENCE)
    mean, top = float(values.mean()), min if metric in LOWER else max
    cell: dict[str, Any] = {"mean": value(mean, metric), "low": value(low, metric), "high": value(high, metric)}
    cell["best"] = mean == top(float(v.mean()) for v in by_model.values())
    if isinstance(ranks, Ranks) and ranks.other is not None and "," not in metric:
        cell["other_ties"] = float(measure(replace(ranks, rank=ranks.other), metric).mean())
    if tested is not None:
        cell["against"] = {
            "model": tested.baseline,
            "difference": tested.difference,
            "low": tested.low,
            "high": tested.high,
            "p": tested.p,
            "p_holm": tested.p_holm,
            "stars": tested.stars,
        }
    return cell


def _text(cell: dict[str, Any] | None) -> Text:
    if cell is None:
        return Text("–")
    tested = cell.get("against", {"stars": "", "difference": 0.0})
    marks = tested["stars"] if tested["difference"] >= 0 else tested["stars"].replace("*", "▾")
    value = Text(_short(cell["mean"]), style="bold" if cell["best"] else "")
    return Text.assemble(
        value, f" {marks}" if marks else "", "\n", (f"{_short(cell['low'])}–{_short(cell['high'])}", "dim")
    )


def _short(share: float) -> str:
    """.0458, 1.0000"""
    return f"{share:.4f}".removeprefix("0")


def _title(facts: dict[str, Any]) -> str:
    asked = f"{facts['questions']:,} ratings"
    if "targets" in facts:
        asked = f"{facts['questions']:,} questions, {facts['targets']:,} targets"
    return f"{asked}, {facts['items']:,} items"


def _ties(facts: dict[str, Any]) -> list[str]:
    """Where the tie rule decides more than a hundredth of a figure: the first metric by the other rule."""
    moved = []
    for row in facts["models"]:
        metric, cell = next(iter(row["metrics"].items()))
        if cell is None or "other_ties" not in cell:
            continue
        other = cell["other_ties"]
        if abs(other - cell["mean"]) > TIED * cell["mean"]:
            moved.append(f"{row['model']} {_short(other)}")
    rule = "before" if facts["protocol"]["ties"] == "conservative" else "behind"
    return [f"Ties matter: {metric} with targets {rule} others of the same score: {', '.join(moved)}."] if moved else []


def _footnotes(facts: dict[str, Any]) -> list[str]:
    protocol, covers = facts["protocol"], any(key.startswith("coverage@") for key in facts["models"][0])
    drawn = "questions" if facts["users"] == facts["questions"] else f"{facts['users']:,} users"
    left_out = ", ".join(f"{n:,} {reason}" for reason, n in facts["left_out"].items()) or "nothing"
    lines = [
        f"Protocol {protocol['name']} ({protocol['fingerprint']}), log {facts['log']}. {protocol['sentence']}",
        f"Left out: {left_out}.",
        f"Below each mean its {100 * facts['confidence']:g}% bootstrap interval over the {drawn}; best value bold."
        + (" Below coverage, the mean popularity percentile of what is recommended." if covers else ""),
        *_ties(facts),
        *(f"Warning: {warning}." for warning in facts["warnings"]),
    ]
    if facts["comparisons"]:
        names = ", ".join(facts["baselines"])
        reference = f"best baseline ({names})" if names else "best value"
        test = {"t": "paired t test", "wilcoxon": "Wilcoxon signed-rank test", "permutation": "sign-flip test"}
        lines.append(
            f"* ** *** better, ▾ ▾▾ ▾▾▾ worse than the {reference} of its column, p < .05, .01, .001 "
            f"({test[facts['test']]}, Holm-corrected for the {facts['comparisons']} comparisons of this table)."
        )
    return lines
