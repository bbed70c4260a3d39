"""What goes wrong is said on the page, in words, and what can be tried again is."""

from __future__ import annotations

import json

import pytest

from .conftest import shown
from .test_session import find, items

REFUSED = "the server responded with a status of 4"


@pytest.fixture
def locked(browser, guarded):
    """The page of a service that asks for keys."""
    with shown(browser, guarded.url, allowed=(REFUSED,)) as opened:
        yield opened


def give(page, key: str) -> None:
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_role("button", name="Use this key").click()


def test_a_key_is_asked_for_and_kept_in_this_tab(locked, guarded):
    dialog = locked.get_by_role("dialog", name="API key")
    dialog.wait_for()
    assert "Authorization: missing" in dialog.inner_text()
    assert "This tab keeps it (in sessionStorage)" in dialog.inner_text()
    give(locked, "wrong")
    dialog.get_by_text("no key of this service").wait_for()
    give(locked, guarded.keys["read"])
    dialog.wait_for(state="hidden")
    find(locked, "u1")
    assert locked.evaluate("({...sessionStorage})") == {"segue.key": guarded.keys["read"]}
    assert locked.evaluate("localStorage.length") == 0
    locked.reload()
    find(locked, "u2")
    locked.get_by_role("button", name="Forget the key").click()
    assert locked.evaluate("sessionStorage.length") == 0
    locked.get_by_role("button", name="Show").click()
    dialog.wait_for()
    locked.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    locked.get_by_text("Could not show u2 (401 Unauthorized).").wait_for()


def test_a_role_that_is_missing_is_said_in_plain_words(locked, guarded):
    give(locked, guarded.keys["read"])
    find(locked, "u3")
    before = items(locked)
    locked.locator(".item-title").first.click()
    locked.get_by_text("To send the event, a key with the role write is needed.").wait_for()
    assert items(locked) == before
    locked.get_by_role("button", name="Give another key").click()
    give(locked, guarded.keys["write"])
    locked.locator(".item-title").first.click()
    locked.get_by_text("13 events.").wait_for()
    locked.goto(f"{guarded.url}/#models")
    locked.get_by_role("button", name="Activate: item-knn").click()
    locked.get_by_role("button", name="Activate item-knn", exact=True).click()
    locked.get_by_text("To activate item-knn, a key with the role admin is needed.").wait_for()
    locked.get_by_label("Weight of item-knn").fill("1")
    locked.get_by_role("button", name="Apply").click()
    locked.get_by_role("dialog").get_by_role("button", name="Apply").click()
    locked.get_by_text("To change who answers, a key with the role admin is needed.").wait_for()
    assert guarded.api("GET", "/v1/models")["arms"][0]["model"] == "hgn"
    assert guarded.keys["write"] not in locked.content()


def test_an_error_of_the_service_is_shown_as_text(browser, site):
    with shown(browser, f"{site.url}/#rules", allowed=(REFUSED,)) as page:
        page.get_by_label("Name").fill("new")
        page.get_by_label("Column of the items").fill("<i>colour</i>")
        page.get_by_label("Values, one a line").fill("red")
        page.get_by_role("button", name="Try").click()
        notice = page.locator("#view-rules .notice")
        notice.get_by_text("Could not try the rule (422").wait_for()
        assert "<i>colour</i>" in notice.inner_text()
        assert page.get_by_role("button", name="Put it live").is_disabled()
        notice.get_by_role("button", name="Close").click()
        assert notice.count() == 0


@pytest.mark.slow
def test_an_answer_that_is_no_problem_document_is_said_too(browser, site):
    with shown(browser, site.url, allowed=("status of 502",)) as page:
        find(page, "u1")
        page.route("**/v1/recommend*", lambda route: route.fulfill(status=502, body="<html>proxy</html>"))
        page.get_by_role("button", name="Show").click()
        page.get_by_text("Could not show u1 (502").wait_for()


def test_a_lost_connection_is_said_and_tried_again(browser, site):
    with shown(browser, site.url, allowed=("ERR_INTERNET_DISCONNECTED",)) as page:
        find(page, "u4")
        page.context.set_offline(True)
        page.locator(".item-title").first.click()
        page.get_by_role("alert").get_by_text("The service cannot be reached. The page tries again in 1 s.").wait_for()
        page.context.set_offline(False)
        page.get_by_text("13 events.").wait_for()
        assert page.locator("#connection").is_hidden()
        assert site.api("GET", "/v1/users/u4")["events"] == 13


@pytest.mark.slow
def test_an_event_that_arrives_twice_is_one(browser, site):
    """The answer to the first attempt is lost; the second one has the same id."""
    sent = []

    def lose_first(route):
        sent.append(route.request.post_data_json)
        if len(sent) > 1:
            route.continue_()
            return
        site.api("POST", "/v1/events", sent[0])
        route.abort()

    with shown(browser, site.url, allowed=("ERR_FAILED",)) as page:
        find(page, "u5")
        page.route("**/v1/events", lose_first)
        page.locator(".item-title").first.click()
        page.get_by_text("13 events.").wait_for()
    assert len(sent) == 2
    assert json.dumps(sent[0]) == json.dumps(sent[1])
    assert site.api("GET", "/v1/users/u5")["events"] == 13


@pytest.mark.slow
@pytest.mark.parametrize("status", [429, 503])
def test_the_page_asks_again_when_it_may(browser, site, status):
    answers = []

    def refuse_first(route):
        answers.append(route)
        if len(answers) > 1:
            route.continue_()
            return
        route.fulfill(status=status, headers={"Retry-After": "1"}, json={"title": "Later", "detail": "not now"})

    with shown(browser, site.url, allowed=(f"status of {status}",)) as page:
        page.route("**/v1/users/u6*", refuse_first)
        page.get_by_label("User or session").fill("u6")
        page.keyboard.press("Enter")
        page.get_by_text("not now. The page asks again in 1 s.").wait_for()
        page.get_by_role("heading", name="History of u6").wait_for()
        assert page.locator("#connection").is_hidden()
