"""The view of a session, in a real browser: what is shown is what the service answers, and a click counts at once."""

from __future__ import annotations

import pytest

from .conftest import LONG, TITLES, shown


def find(page, user: str) -> None:
    page.get_by_label("User or session").fill(user)
    page.keyboard.press("Enter")
    settled(page)
    page.get_by_role("heading", name=f"History of {user}").wait_for()


def settled(page) -> None:
    """Wait until nothing is asked any more."""
    page.locator("#lists[aria-busy=false]").wait_for()


def items(page, title: str = "title-left") -> list[str]:
    return page.locator(f"section[aria-labelledby={title}] .item-title").evaluate_all(
        "found => found.map(one => one.dataset.item)"
    )


def recommended(site, user: str, **params: str) -> dict:
    query = "".join(f"&{name}={value}" for name, value in params.items())
    return site.api("GET", f"/v1/recommend?user={user}&measure=false{query}")


def test_a_user_has_history_and_recommendations(page, site):
    page.locator("#recent-users option").first.wait_for(state="attached")
    offered = page.locator("#recent-users option").evaluate_all("found => found.map(one => one.value)")
    assert offered == site.api("GET", "/v1/users")["users"]
    find(page, "u7")
    answer, person = recommended(site, "u7"), site.api("GET", "/v1/users/u7")
    assert items(page) == [one["item"] for one in answer["items"]]
    assert page.locator(".items .score").all_inner_texts() == [f"{one['score']:.3f}" for one in answer["items"]]
    assert page.locator(".items .rank").all_inner_texts() == [str(rank) for rank in range(1, 11)]
    titles = [one["title"].strip() for one in reversed(person["history"])]
    assert [one.strip() for one in page.locator("#history .past-title").all_text_contents()] == titles
    assert page.get_by_role("heading", name="Recommended by hgn").is_visible()
    assert answer["fingerprint"][:8] in page.locator(".list > .help").inner_text()
    assert page.locator("#history-note").inner_text() == "12 events."
    assert "12 events of u7" in page.locator("#announcement").inner_text()


def test_a_click_is_an_event_and_counts_at_once(page, site):
    find(page, "u8")
    before = items(page)
    page.locator(".item-title").nth(2).click()
    page.get_by_text("13 events.").wait_for()
    settled(page)
    newest = site.api("GET", "/v1/users/u8")["history"][-1]
    assert (newest["item"], newest["type"]) == (before[2], "click")
    assert page.locator("#history .past-title").first.text_content() == newest["title"]
    after = items(page)
    assert before[2] not in after
    assert after == [one["item"] for one in recommended(site, "u8")["items"]] != before


def test_an_empty_session_is_joined_to_a_user(page, site):
    page.get_by_role("button", name="Begin an empty session").click()
    page.get_by_text("No events yet.").wait_for()
    assert "Not from the model: the history is empty." in page.locator(".list").inner_text()
    assert page.locator(".list .tag").first.inner_text() in ("popular", "trending")
    chosen = items(page)[0]
    page.locator(".item-title").first.click()
    page.get_by_text("1 event.").wait_for()
    page.get_by_text("Not from the model").wait_for(state="detached")
    page.get_by_label("Join this session to a user").fill("u9")
    page.get_by_role("button", name="Join", exact=True).click()
    page.get_by_role("heading", name="History of u9").wait_for()
    page.get_by_text("13 events.").wait_for()
    assert site.api("GET", "/v1/users/u9")["history"][-1]["item"] == chosen
    assert page.get_by_label("Join this session to a user").is_hidden()


def test_why_an_item_was_recommended(page, site):
    find(page, "u10")
    first = recommended(site, "u10", explain="true")["items"][0]
    parts = first["explanation"]
    page.locator(".why summary").first.click()
    bars = page.locator(".why").first.locator(".bars li")
    shown_parts = dict(
        zip(bars.locator(".bar-name").all_text_contents(), bars.locator(".number").all_inner_texts(), strict=True)
    )
    assert bars.count() >= min(8, len(parts["past"]))
    widths = bars.locator("rect:last-child").evaluate_all("found => found.map(one => one.width.baseVal.value)")
    values = [abs(float(text.replace("−", "-"))) for text in shown_parts.values()]
    assert [width / max(widths) for width in widths] == pytest.approx([one / max(values) for one in values], abs=0.02)
    one = parts["past"][0]
    assert float(shown_parts[one["title"]].replace("−", "-")) == pytest.approx(one["contribution"], abs=6e-4)
    less = [bar for bar, text in zip(bars.all(), shown_parts.values(), strict=True) if text.startswith("−")]
    assert all(bar.locator(".bar-less").count() == 1 for bar in less)


def test_two_models_side_by_side(page, site):
    find(page, "u11")
    page.get_by_label("Compare with").select_option("item-knn")
    page.get_by_role("heading", name="Recommended by item-knn").wait_for()
    left, right = items(page), items(page, "title-right")
    assert right == [one["item"] for one in recommended(site, "u11", model="item-knn")["items"]]
    both = set(left) & set(right)
    assert both
    marked = page.locator(".in-both .item-title").evaluate_all("found => found.map(one => one.dataset.item)")
    assert sorted(marked) == sorted([*both, *both])
    one = next(item for item in left if item in both)
    row = page.locator(f"section[aria-labelledby=title-left] li:has([data-item={one}])")
    assert f"in both, #{right.index(one) + 1} there" in row.inner_text()
    page.get_by_label("Model", exact=True).select_option("item-knn")
    page.locator("#title-left", has_text="item-knn").wait_for()
    assert items(page) == right


def test_lists_of_the_page_are_not_measured(page):
    page.wait_for_load_state("networkidle")  # a view that is shown late asks again for a user that was found meanwhile
    asked = []
    page.on("request", lambda request: "/v1/recommend" in request.url and asked.append(request.url))
    find(page, "u12")
    page.get_by_label("Compare with").select_option("item-knn")
    page.get_by_role("heading", name="Recommended by item-knn").wait_for()
    assert len(asked) == 3
    assert all("measure=false" in url for url in asked)


@pytest.mark.parametrize("width", [pytest.param(1280, marks=pytest.mark.slow), 390])
def test_titles_are_text_whatever_is_in_them(browser, site, width):
    for item in TITLES:
        site.api("POST", "/v1/events", {"user": f"titles-{width}", "item": item})
    with shown(browser, site.url, viewport={"width": width, "height": 900}) as page:
        find(page, f"titles-{width}")
        texts = page.locator("#history .past-title").all_text_contents()
        assert [one.strip() for one in texts] == [TITLES[item].strip() for item in reversed(TITLES)]
        assert page.locator("#history img, #history b").count() == 0
        right_to_left = page.locator("#history .past-title", has_text="مرحبا").evaluate(
            "one => getComputedStyle(one).direction"
        )
        assert right_to_left == "rtl"
        heights = page.locator("#history .past-title").evaluate_all("found => found.map(one => one.clientHeight)")
        assert max(heights) <= 80
        assert len(LONG) > 500
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
