"""The table says everything that its JSON says, fits a terminal, and puts side by side only what may be compared."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from segue.errors import ConfigError
from segue.evaluation.metrics import coverage
from segue.evaluation.protocols import PROTOCOLS
from segue.evaluation.ranks import Ranks
from segue.evaluation.repeated_predictions import RepeatedPredictions
from segue.evaluation.result import Result
from segue.evaluation.significance import holm, interval, t_test, wilcoxon
from segue.evaluation.summary import as_json, summary
from segue.evaluation.table import table
from segue.evaluation.task import measure

CASES, ITEMS = 600, 50


def result(model: str, skill: float, **more: object) -> Result:
    """A model that finds a target at each place with probability `skill`."""
    rng = np.random.default_rng(len(model))
    place = np.minimum(rng.geometric(skill, (CASES, 2)), 21)
    place.sort(axis=1)
    ranks = Ranks(
        user=np.arange(1, CASES + 1),
        rank=place.ravel(),
        offsets=np.arange(0, 2 * CASES + 1, 2),
        top=rng.integers(1, ITEMS, (CASES, 20)).astype(np.int32),
        depth=20,
        dropped={"targets seen before": 1234},
    )
    made = Result(model=model, predictions=ranks, protocol=PROTOCOLS["hgn"], log="0123abcd", items=ITEMS, seconds=12.0)
    return replace(made, **more)  # type: ignore[arg-type]


RESULTS = [result("pop", 0.02), result("item-knn", 0.05), result("a-model", 0.09), result("b-model!", 0.091)]


def printed(results: list[Result], width: int, **settings: object) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, color_system=None)
    console.print(table(results, **settings))  # type: ignore[arg-type]
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits_and_says_everything(width: int) -> None:
    text = printed(RESULTS, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    flat = " ".join(text.split())
    for r in RESULTS:
        assert r.model in text
        for metric in ("recall@10", "ndcg@10", "mrr@10"):
            values = measure(r.predictions, metric)
            low, high = interval(values)
            assert f"{values.mean():.4f}".removeprefix("0") in text
            assert f"{low:.4f}–{high:.4f}".replace("0.", ".") in text
    assert PROTOCOLS["hgn"].describe() in flat
    assert f"Protocol hgn ({PROTOCOLS['hgn'].fingerprint}), log 0123abcd." in flat
    assert "Left out: 1,234 targets seen before." in flat
    assert "600 evaluation instances, 1,200 targets, 50 items" in flat
    assert "(paired t test, Holm-corrected for the 9 comparisons of this table)" in flat


def test_the_best_is_bold_and_what_differs_from_it_has_stars() -> None:
    out = io.StringIO()
    Console(file=out, width=100, force_terminal=True, color_system="standard").print(table(RESULTS, ["recall@10"]))
    means = {r.model: measure(r.predictions, "recall@10").mean() for r in RESULTS}
    best = max(means.values())
    assert f"\x1b[1m{best:.4f}".replace("0.", ".") in out.getvalue()
    cells = {m["model"]: m["metrics"]["recall@10"] for m in summary(RESULTS, ["recall@10"])["models"]}
    assert [name for name, cell in cells.items() if cell["best"]] == [max(means, key=lambda n: means[n])]
    assert cells["pop"]["against"]["stars"] == "***"
    assert f"{means['pop']:.4f} ▾▾▾".replace("0.", ".") in out.getvalue()


def test_the_json_holds_every_number_in_full() -> None:
    facts = json.loads(as_json(RESULTS, ["recall@10", "ndcg@5"]))
    assert facts == json.loads(json.dumps(summary(RESULTS, ["recall@10", "ndcg@5"])))
    assert facts["protocol"]["fingerprint"] == PROTOCOLS["hgn"].fingerprint
    assert facts["protocol"]["sentence"] == PROTOCOLS["hgn"].describe()
    assert (facts["log"], facts["items"], facts["instances"], facts["targets"]) == ("0123abcd", 50, 600, 1200)
    assert facts["left_out"] == {"targets seen before": 1234}
    values = {r.model: measure(r.predictions, "ndcg@5") for r in RESULTS}
    raw = []
    for r, row in zip(RESULTS, facts["models"], strict=True):
        cell = row["metrics"]["ndcg@5"]
        assert (row["model"], row["seconds"]) == (r.model, 12.0)
        assert row["coverage@10"] == coverage(r.predictions, 10, ITEMS)
        assert cell["mean"] == values[r.model].mean()
        assert (cell["low"], cell["high"]) == interval(values[r.model])
        for metric in row["metrics"].values():
            raw += [(metric["against"]["p"], metric["against"]["p_holm"])] if "against" in metric else []
        if "against" in cell:
            other = values[cell["against"]["model"]]
            assert cell["against"]["p"] == t_test(values[r.model], other)
            assert cell["against"]["difference"] == pytest.approx((values[r.model] - other).mean(), abs=1e-15)
    assert len(raw) == facts["comparisons"] == 6
    assert [c for _, c in raw] == holm([p for p, _ in raw])


def test_declared_baselines_are_the_reference() -> None:
    declared = [replace(r, baseline=r.model in ("pop", "item-knn")) for r in RESULTS]
    facts = summary(declared, ["recall@10"], test="wilcoxon")
    cells = {row["model"]: row["metrics"]["recall@10"] for row in facts["models"]}
    assert facts["baselines"] == ["pop", "item-knn"]
    assert "against" not in cells["pop"]
    assert "against" not in cells["item-knn"]
    for name in ("a-model", "b-model!"):
        assert cells[name]["against"]["model"] == "item-knn"
        assert cells[name]["against"]["difference"] > 0
    values = {r.model: measure(r.predictions, "recall@10") for r in RESULTS}
    assert cells["a-model"]["against"]["p"] == wilcoxon(values["a-model"], values["item-knn"])
    flat = " ".join(printed(declared, 80, test="wilcoxon").split())
    assert "worse than the best baseline (pop, item-knn) of its column" in flat
    assert "Wilcoxon signed-rank test" in flat


def test_one_result_alone_has_no_stars_and_no_claim() -> None:
    text = printed([replace(RESULTS[0], seconds=None)], 80)
    assert "*" not in text
    assert "–" in text.split(" pop ", 1)[1].splitlines()[0]
    assert "Left out: nothing" in printed(
        [replace(RESULTS[0], predictions=replace(RESULTS[0].predictions, dropped={}))], 80
    )


def test_of_one_user_alone_figures_stand_without_a_test() -> None:
    user, rank, top = np.array([7, 7]), np.array([1, 3]), np.zeros((2, 20), np.int32)
    ranks = Ranks(user=user, rank=rank, offsets=np.arange(3), top=top, depth=20, dropped={})
    found = [replace(one, predictions=ranks) for one in RESULTS[:2]]
    assert "One user alone was tested, so the intervals say nothing." in " ".join(printed(found, 80).split())
    assert summary(found)["comparisons"] == 0
    assert "One user" not in printed(RESULTS, 80)


def test_a_name_is_shown_as_it_is() -> None:
    assert "[bold]x[/bold]" in printed([replace(RESULTS[0], model="[bold]x[/bold]")], 80)


def test_what_may_not_stand_side_by_side_is_refused() -> None:
    one, two = RESULTS[:2]
    shifted = replace(two.predictions, user=two.predictions.user + 1)
    fewer = replace(
        two.predictions,
        user=two.predictions.user[:1],
        rank=two.predictions.rank[:2],
        offsets=two.predictions.offsets[:2],
    )
    for other, message in (
        (
            replace(two, protocol=PROTOCOLS["recbole"]),
            r"'pop' and 'item-knn' cannot be compared: protocol hgn \(6.*\) on",
        ),
        (replace(two, log="ffff"), r"cannot be compared: log 0123abcd \(50 items\) on one side, ffff \(50 items\)"),
        (replace(two, items=51), r"log 0123abcd \(50 items\) on one side, 0123abcd \(51 items\)"),
        (replace(two, predictions=shifted), "600 evaluation instances on one side, 600 on the other, not the same"),
        (replace(two, predictions=fewer), "600 evaluation instances on one side, 1 on the other"),
        (replace(two, model="pop"), "two results are called 'pop'"),
    ):
        with pytest.raises(ConfigError, match=message):
            table([one, other])
    with pytest.raises(ConfigError, match="no results to show"):
        summary([])
    with pytest.raises(ConfigError, match="no metric to show"):
        summary([one], [])
    with pytest.raises(ConfigError, match="unknown metric 'recal@10'"):
        summary([one], ["recal@10"])
    with pytest.raises(ConfigError, match="unknown test 'z'"):
        summary([one, two], test="z")  # type: ignore[arg-type]


def test_cut_offs_and_names_of_a_protocol_do_not_stop_a_comparison() -> None:
    renamed = replace(PROTOCOLS["hgn"], name="mine", ks=(10, 20))
    assert summary([RESULTS[0], replace(RESULTS[1], protocol=renamed)])["instances"] == 600


def test_warnings_and_ties_stand_below_the_table() -> None:
    one, two = RESULTS[:2]
    early = replace(one.predictions, rank_other_ties=np.maximum(one.predictions.rank - 5, 1))
    warned = [replace(one, predictions=early, warnings=("A leaks",)), replace(two, warnings=("A leaks", "B too"))]
    facts = summary(warned, ["recall@10"])
    assert facts["warnings"] == ["A leaks", "B too"]
    other = facts["models"][0]["metrics"]["recall@10"]["other_ties"]
    assert other == measure(replace(early, rank=early.rank_other_ties), "recall@10").mean()
    assert "other_ties" not in facts["models"][1]["metrics"]["recall@10"]
    flat = " ".join(printed(warned, 100, metrics=["recall@10"]).split())
    assert "Warning: A leaks. Warning: B too." in flat
    assert (
        f"Ties matter: recall@10 with targets before other items of the same score: pop .{other:.4f}".replace(
            ".0.", "."
        )
        in flat
    )
    assert "Ties matter" not in printed(RESULTS, 100)


def test_intervals_and_tests_are_of_users_where_they_have_several_questions() -> None:
    users = np.repeat(np.arange(1, CASES // 6 + 1), 6)
    evaluated = [replace(r, predictions=replace(r.predictions, user=users)) for r in RESULTS]
    facts = summary(evaluated, ["recall@10"])
    assert facts["users"] == 100
    values = {r.model: measure(r.predictions, "recall@10") for r in evaluated}
    cells = {row["model"]: row["metrics"]["recall@10"] for row in facts["models"]}
    best = max(values, key=lambda name: values[name].mean())
    for name, cell in cells.items():
        assert (cell["low"], cell["high"]) == interval(values[name], users)
        if name != best:
            assert cell["against"]["p"] == t_test(values[name], values[best], users)
    assert "bootstrap interval over the 100 users" in " ".join(printed(evaluated, 100).split())
    assert "bootstrap interval over the instances" in " ".join(printed(RESULTS, 100).split())


@pytest.mark.parametrize("width", [60, 80, 100, 120, 150])
def test_three_cut_offs_keep_the_names_and_the_figures(width: int) -> None:
    metrics = [f"{name}@{k}" for k in (5, 10, 20) for name in ("recall", "ndcg", "mrr")]
    named = [replace(r, model=f"a model with a long name, {r.model}") for r in RESULTS]
    text = printed(named, width, metrics=metrics)
    assert max(map(len, text.splitlines())) <= width
    for row in summary(named, metrics)["models"]:
        assert row["model"] in text
        for cell in row["metrics"].values():
            mean, low, high = (f"{cell[name]:.4f}".removeprefix("0") for name in ("mean", "low", "high"))
            assert mean in text
            assert f"{low}–{high}" in text


def test_the_deviation_between_trainings_stands_below_the_interval() -> None:
    one, other = (result("a-model", skill).predictions for skill in (0.05, 0.09))
    repeated = replace(RESULTS[2], predictions=RepeatedPredictions([one, other]))
    means = [measure(predictions, "recall@10").mean() for predictions in (one, other)]
    text = printed([RESULTS[0], repeated], 100, metrics=["recall@10"])
    assert f"±{np.std(means, ddof=1):.4f}".replace("±0", "±") in text
    assert "Trained several times, with other seeds: a-model (2). The value of" in " ".join(text.split())
    assert "±" not in printed(RESULTS, 100)


def test_the_cost_stands_beside_the_figures() -> None:
    cost = {"cpu_seconds": 12.34, "test_cpu_seconds": 0.56, "peak_mb": 1234}
    costly, old = replace(RESULTS[0], **cost), RESULTS[1]
    rows = summary([costly, old], ["recall@10"])["models"]
    assert {name: rows[0][name] for name in cost} == cost
    assert {name: rows[1][name] for name in cost} == dict.fromkeys(cost)
    cells = {row[0].plain: [cell.plain for cell in row[-2:]] for row in table([costly, old], ["recall@10"]).rows}
    assert cells["pop"] == ["12\n0.6", "1,234"]
    assert cells["item-knn"] == ["–\n–", "–"]  # a result of an earlier version does not know what it took
    note = "peak MB: of the process while this model was trained and tested, with what ran before it."
    assert note in " ".join(printed([costly], 80).split())


def test_three_metrics_and_the_cost_fit_in_eighty_columns() -> None:
    cost = {"cpu_seconds": 12345.0, "test_cpu_seconds": 1.0, "peak_mb": 9876}
    text = printed([replace(r, **cost, counts=np.arange(ITEMS + 1)) for r in RESULTS], 80)
    assert len([line for line in text.splitlines() if " pop " in line]) == 1
