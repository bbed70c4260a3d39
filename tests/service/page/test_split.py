"""Who answers, in a real browser: the weights of the arms, shadow models, and changes of somebody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .conftest import shown, visit

expect = pytest.importorskip("playwright.sync_api").expect


@contextmanager
def split(site, body: dict) -> Iterator[None]:
    """What answers during a test; hgn alone afterwards."""
    site.api("POST", "/v1/models/activate", body)
    try:
        yield
    finally:
        site.api("POST", "/v1/models/activate", {"model": "hgn"})


def question(page) -> str:
    """What the page asks before a change."""
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    return dialog.inner_text()


def test_the_weights_of_a_split_are_shown(page, site):
    arms = [{"model": "hgn", "weight": 3, "name": "old"}, {"model": "item-knn", "weight": 1}]
    site.api("POST", "/v1/models/activate", {"arms": arms})
    try:
        visit(page, "Models")
        assert "live, 75.0% of the users" in page.get_by_role("article", name="hgn").inner_text()
        assert "live, 25.0% of the users" in page.get_by_role("article", name="item-knn").inner_text()
        page.get_by_role("button", name="Activate: hgn").click()
        assert "The A/B split ends." in page.get_by_role("dialog").inner_text()
    finally:
        site.api("POST", "/v1/models/activate", {"model": "hgn"})


def test_weights_and_shadow_models_are_set(page, site):
    visit(page, "Models")
    form = page.get_by_role("form", name="Who answers")
    weights = {name: form.get_by_label(f"Weight of {name}") for name in ("hgn", "item-knn")}
    assert [one.input_value() for one in weights.values()] == ["1", "0"]
    weights["item-knn"].fill("3")
    assert form.locator("tbody td:nth-child(3)").all_inner_texts() == ["25.0%", "75.0%"]
    form.get_by_label("hgn as a shadow model").check()
    form.get_by_role("button", name="Apply").click()
    dialog = page.get_by_role("dialog")
    said = "hgn answers 25.0% of the users, item-knn answers 75.0% of the users. Shadow models: hgn."
    assert said in dialog.inner_text()
    dialog.get_by_role("button", name="Cancel").click()
    dialog.wait_for(state="hidden")
    assert [one["model"] for one in site.api("GET", "/v1/models")["arms"]] == ["hgn"]
    form.get_by_role("button", name="Apply").click()
    dialog.get_by_role("button", name="Apply").click()
    try:
        page.get_by_text("live, 75.0% of the users").wait_for()
        assert page.locator("#announcement").inner_text() == f"Changed. {said}"
        assert page.evaluate("document.activeElement.id") == "title-split"
        found = site.api("GET", "/v1/models")
        assert [(one["model"], one["weight"]) for one in found["arms"]] == [("hgn", 1), ("item-knn", 3)]
        assert found["shadow"] == ["hgn"]
    finally:
        site.api("POST", "/v1/models/activate", {"model": "hgn"})


def test_a_change_of_the_weights_keeps_the_names_of_arms_and_the_salt(page, site):
    arms = [{"model": "hgn", "name": "old"}, {"model": "item-knn", "name": "new"}]
    site.api("POST", "/v1/models/activate", {"arms": arms, "salt": "of this test"})
    try:
        visit(page, "Models")
        form = page.get_by_role("form", name="Who answers")
        form.get_by_label("Weight of item-knn").fill("1.5")
        page.keyboard.press("Enter")
        page.get_by_role("dialog").get_by_role("button", name="Apply").click()
        page.get_by_text("live, 60.0% of the users").wait_for()
        found = site.api("GET", "/v1/models")
        assert [(one["name"], one["weight"]) for one in found["arms"]] == [("old", 1), ("new", 1.5)]
        assert found["salt"] == "of this test"
    finally:
        site.api("POST", "/v1/models/activate", {"model": "hgn"})


@pytest.mark.parametrize(
    ("choice", "sent"), [("", None), ("Copy none", False), ("Copy all into the store, for ever", True)]
)
@pytest.mark.parametrize("name", ["Apply", "Activate: item-knn"])
def test_the_choice_of_copying_events_is_said_and_holds_for_one_change(browser, site, choice, sent, name):
    refusal = {"title": "Conflict", "detail": "of another log"}
    with shown(browser, site.url, allowed=("status of 409",)) as page:
        page.route("**/v1/models/activate", lambda route: route.fulfill(status=409, json=refusal))
        visit(page, "Models")
        events = page.get_by_label("Events of the models' logs")
        page.get_by_label("Weight of item-knn").fill("1")
        if choice:
            events.select_option(label=choice)
        answering = "logs of hgn and item-knn" if name == "Apply" else "log of item-knn"
        for expected in (sent, None):
            page.get_by_role("button", name=name).click()
            said = f"All events of the {answering} will be copied into the store, for ever." in question(page)
            assert said is bool(expected)
            with page.expect_request("**/v1/models/activate") as asked:
                page.locator("#confirm-yes").click()
            assert asked.value.post_data_json.get("import") is expected
            page.locator("#view-models .notice").get_by_text("of another log").wait_for()
            page.get_by_role("button", name="Close").click()
            assert events.input_value() == ""
            assert page.get_by_label("Weight of item-knn").input_value() == "1"


def test_the_arms_of_one_model_stay_apart_in_their_order(page, site):
    """An A/A test: only a shadow model is added."""
    arms = [
        {"model": "item-knn", "weight": 4.0, "name": "item-knn"},
        {"model": "hgn", "weight": 3.0, "name": "a1"},
        {"model": "hgn", "weight": 1.0, "name": "a2"},
    ]
    with split(site, {"arms": arms, "salt": "xyz"}):
        visit(page, "Models")
        form = page.get_by_role("form", name="Who answers")
        expect(form.locator("tbody th")).to_have_text(["item-knn", "hgn (arm a1)", "hgn (arm a2)"])
        expect(form.locator("tbody td:nth-child(3)")).to_have_text(["50.0%", "37.5%", "12.5%"])
        form.get_by_label("hgn as a shadow model").check()
        form.get_by_role("button", name="Apply").click()
        assert "hgn (arm a2) answers 12.5% of the users. Shadow models: hgn." in question(page)
        page.locator("#confirm-yes").click()
        page.locator("#announcement", has_text="Changed.").wait_for(state="attached")
        found = site.api("GET", "/v1/models")
        assert (found["arms"], found["shadow"], found["salt"]) == (arms, ["hgn"], "xyz")
        form.get_by_label("Weight of hgn (arm a2)").fill("0")
        form.get_by_role("button", name="Apply").click()
        page.locator("#confirm-yes").click()
        page.get_by_text("live, 57.1% of the users").wait_for()
        assert site.api("GET", "/v1/models")["arms"] == arms[:2]
        page.get_by_role("button", name="Activate: hgn").click()
        page.locator("#confirm-yes").click()
        page.get_by_text("live for all users").wait_for()
        found = site.api("GET", "/v1/models")
        assert ([one["name"] for one in found["arms"]], found["shadow"], found["salt"]) == (["hgn"], [], "xyz")


@pytest.mark.parametrize("name", ["Apply", "Activate: item-knn"])
def test_a_tab_that_was_opened_before_a_change_does_not_undo_it(browser, site, name):
    with shown(browser, f"{site.url}/#models", allowed=("status of 409",)) as stale:
        stale.get_by_label("Weight of item-knn").fill("2")
        other = stale.context.new_page()
        other.goto(f"{site.url}/#models")
        with split(site, {"model": "hgn", "salt": "of this test"}):
            other.reload()
            other.get_by_label("item-knn as a shadow model").check()
            other.get_by_role("button", name="Apply").click()
            other.locator("#confirm-yes").click()
            other.locator("#announcement", has_text="Changed.").wait_for(state="attached")
            changed = site.api("GET", "/v1/models")
            stale.bring_to_front()
            stale.get_by_role("button", name=name).click()
            stale.locator("#confirm-yes").click()
            stale.locator("#view-models .notice").get_by_text("was changed meanwhile; look again").wait_for()
            assert stale.get_by_label("item-knn as a shadow model").is_checked()
            assert stale.get_by_label("Weight of item-knn").input_value() == "0"
            assert site.api("GET", "/v1/models") == changed
            stale.get_by_role("button", name=name).click()
            stale.locator("#confirm-yes").click()
            stale.locator("#view-models .notice").wait_for(state="detached")
            found = site.api("GET", "/v1/models")
            assert (found["version"], found["salt"]) == (changed["version"] + 1, "of this test")


def test_somebody_has_to_answer(page, site):
    visit(page, "Models")
    form = page.get_by_role("form", name="Who answers")
    form.get_by_label("Weight of hgn").fill("0")
    assert form.locator("tbody td:nth-child(3)").all_inner_texts() == ["–", "–"]
    form.get_by_role("button", name="Apply").click()
    page.locator("#view-models .notice").get_by_text("No model has a weight above 0.").wait_for()
    assert [one["model"] for one in site.api("GET", "/v1/models")["arms"]] == ["hgn"]
