"""The views of quality, models and rules, in a real browser: the figures are those of the service."""

from __future__ import annotations

import random
import time
from datetime import datetime, timedelta

import pytest

from segue.event_store.outcomes import Outcome

from .conftest import visit


def text_of(figure: dict | None) -> str:
    return "–" if figure is None else f"{figure['mean']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


@pytest.fixture(scope="module")
def outcomes(site) -> None:
    """Ranks of the last ten hours."""
    draw = random.Random(1)
    now = int(time.time() * 1e6)
    fingerprint = site.service.deployment.models["hgn"].fingerprint
    found = [
        Outcome(
            f"u{n % 20}", "hgn", fingerprint, "hgn", now - int(n % 10 * 3600e6), draw.choice([None, None, 1, 4]), 10
        )
        for n in range(200)
    ]
    site.service.store.outcomes.exchange({}, new_outcomes=found)


def test_live_quality_over_time_beside_the_test(page, site, outcomes):
    visit(page, "Quality")
    page.locator("#quality-charts svg[role=img]").first.wait_for()
    (arm,) = site.api("GET", "/v1/quality")["arms"]
    cells = page.locator("#quality-table tbody tr").first.locator("th, td").all_inner_texts()
    figures = [text_of(arm[name]) for name in ("recall", "offline_recall", "mrr", "offline_mrr")]
    assert cells == ["hgn", "200", "20", *figures]
    points = site.api("GET", "/v1/quality/series?hours=24&points=24")["points"]
    series = [one["arms"][0]["recall"] for one in points if one["arms"]]
    chart = page.locator("#quality-charts figure").first
    assert chart.locator("circle").count() == len(series) == 10
    assert chart.locator("path.reference.series-0").count() == chart.locator("path.band").count() == 1
    chart.get_by_text("As a table").click()
    assert chart.locator("tbody td").all_inner_texts() == [text_of(one) for one in reversed(series)]
    assert f"Newest: hgn {series[-1]['mean']:.3f}" in chart.locator("svg[role=img]").get_attribute("aria-label")
    page.get_by_label("Cut-off k").focus()
    page.get_by_label("Cut-off k").select_option("1")
    page.locator("figcaption", has_text="recall@1 over time").wait_for()
    hits = site.api("GET", "/v1/quality?k=1")["arms"][0]["recall"]["mean"]
    assert f"{hits:.3f}" in page.locator("#quality-table").inner_text()


def test_requests_are_counted_while_the_page_is_open(page, site):
    reading = []
    page.on("request", lambda request: request.url.endswith("/metrics") and reading.append(request))
    page.on("requestfinished", lambda request: request in reading and reading.remove(request))

    def settle():
        """Wait until no reading is in flight: the page begins no other one before, and five seconds would be lost."""
        while reading:
            page.wait_for_timeout(20)
        page.evaluate("() => fetch(location.href).then(found => found.text())")  # by then the page has read it

    page.clock.install()
    page.reload()
    visit(page, "Quality")
    page.clock.pause_at(datetime.now() + timedelta(seconds=60))
    for _ in range(2):
        settle()
        with page.expect_response("**/metrics"):
            page.clock.run_for(5_000)
        settle()
        for user in ("u1", "nobody"):
            site.api("GET", f"/v1/recommend?user={user}")
        site.api("POST", "/v1/events", {"user": "somebody-else", "item": "i1"})
    with page.expect_response("**/metrics"):
        page.clock.run_for(5_000)
    charts = page.locator("#traffic-charts figure")
    charts.nth(3).locator("svg[role=img]").wait_for()
    newest = charts.locator("svg[role=img]").evaluate_all("found => found.map(one => one.getAttribute('aria-label'))")
    assert "stored 0.200" in newest[2]
    assert "fallback 50" in newest[3]
    for figure, names in zip(newest, (["/v1"], ["p50", "p99"], ["stored"], ["fallback"]), strict=True):
        assert all(name in figure for name in names)
    summary = charts.first.get_by_text("As a table")
    summary.click()
    charts.nth(2).get_by_text("As a table").click()
    rows = charts.nth(2).locator("tbody tr")
    before = rows.count()
    summary.focus()
    settle()
    with page.expect_response("**/metrics"):
        page.clock.run_for(5_000)
    rows.nth(before).wait_for()  # the table stays open, and has one row more
    assert summary.evaluate("one => one === document.activeElement")
    assert "since the page was opened" in page.locator("#traffic-note").inner_text()


def test_models_with_their_tests_and_a_switch(page, site):
    visit(page, "Models")
    found = {one["name"]: one for one in site.api("GET", "/v1/models")["models"]}
    for name, model in found.items():
        card = page.get_by_role("article", name=name)
        text = card.inner_text()
        assert model["fingerprint"] in text
        assert model["protocol"]["sentence"] in text
        assert text_of(model["metrics"]["recall@10"]) in text
    assert "live for all users" in page.get_by_role("article", name="hgn").inner_text()
    activate = page.get_by_role("button", name="Activate: item-knn")
    activate.click()
    dialog = page.get_by_role("dialog")
    assert "hgn answers now" in dialog.inner_text()
    dialog.get_by_role("button", name="Cancel").click()
    dialog.wait_for(state="hidden")
    assert site.api("GET", "/v1/models")["arms"][0]["model"] == "hgn"
    activate.click()
    dialog.get_by_role("button", name="Activate item-knn").click()
    page.get_by_role("button", name="Activate: hgn").wait_for()
    assert [one["model"] for one in site.api("GET", "/v1/models")["arms"]] == ["item-knn"]
    assert page.locator("#announcement").inner_text() == "item-knn answers now."
    site.api("POST", "/v1/models/activate", {"model": "hgn"})


def test_a_rule_is_tried_put_live_and_deleted(page, site):
    visit(page, "Rules")
    page.get_by_text("No rule holds.").wait_for()
    page.get_by_label("Name").fill("no-odd")
    page.get_by_label("Column of the items").fill("kind")
    page.get_by_label("Values, one a line").fill("odd")
    put = page.get_by_role("button", name="Put it live")
    assert put.is_disabled()
    page.get_by_role("button", name="Try").click()
    page.locator("#cost table").wait_for()
    rule = {"kind": "exclude", "where": {"kind": ["odd"]}}
    cost = site.api("POST", "/v1/rules/try", {"rules": {"no-odd": rule}})
    row = page.locator("#cost tbody tr").inner_text()
    assert f"{cost['recall']['without']:.3f} → {cost['recall']['with_rules']:.3f}" in row
    assert f"{abs(cost['recall']['difference']):.3f} (" in row
    assert f"{cost['changed']} of {cost['users']}" in row
    page.get_by_label("Values, one a line").fill("even")
    assert put.is_disabled()  # what was tried is no longer what would be put live
    page.get_by_label("Values, one a line").fill("odd")
    page.get_by_role("button", name="Try").click()
    put.click()
    page.get_by_role("dialog").get_by_role("button", name="Put it live").click()
    page.get_by_text("Never recommend kind odd.").first.wait_for()
    page.get_by_role("button", name="Delete the rule no-odd").wait_for()
    assert site.api("GET", "/v1/rules/no-odd")["rule"]["where"] == {"kind": ["odd"]}
    items = site.api("GET", "/v1/recommend?user=u20")["items"]
    assert items
    assert all(int(one["item"][1:]) % 2 == 0 for one in items)
    page.get_by_role("button", name="Delete the rule no-odd").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete it").click()
    page.get_by_text("No rule holds.").wait_for()
    assert site.api("GET", "/v1/rules")["rules"] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "fields", "rule"),
    [
        (
            "boost",
            {"Column of the items": "kind", "Values, one a line": "odd", "Standard deviations": "-0.5"},
            {"kind": "boost", "where": {"kind": ["odd"]}, "items": [], "by": -0.5},
        ),
        (
            "cap",
            {"Column of the items": "kind", "At most": "4"},
            {"kind": "cap", "column": "kind", "at_most": 4, "values": []},
        ),
        ("include", {"Items, one a line": "i1\ni2\n"}, {"kind": "include", "where": {}, "items": ["i1", "i2"]}),
    ],
)
def test_every_kind_of_rule_can_be_tried(page, kind, fields, rule):
    visit(page, "Rules")
    page.get_by_label("Name").fill("new")
    page.get_by_label("Kind").select_option(kind)
    for label, value in fields.items():
        page.get_by_label(label).fill(value)
    with page.expect_request("**/v1/rules/try") as asked:
        page.get_by_role("button", name="Try").click()
    assert asked.value.post_data_json["rules"] == {"new": rule}
    page.locator("#cost table").wait_for()
