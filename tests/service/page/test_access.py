"""The page for everybody: names, contrast, headings, the keyboard alone, narrow screens, no jumps."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from .conftest import shown, visit
from .test_session import find, settled
from .test_views import outcomes

__all__ = ["outcomes"]
LAWS = (Path(__file__).parent / "laws.js").read_text(encoding="utf-8").partition("\n")[2]
FOCUS = """() => {
  const one = document.activeElement, style = getComputedStyle(one);
  return [one.getAttribute("aria-label") ?? one.id ?? "", one.textContent.trim().slice(0, 40), one.tagName,
          style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
}"""
SHIFTS = """() => new Promise((resolve) => {
  new PerformanceObserver((list) => resolve(list.getEntries().reduce((sum, one) => sum + one.value, 0)))
    .observe({ type: "layout-shift", buffered: true });
  setTimeout(() => resolve(0), 300);
})"""


def open_everything(page, view: str) -> None:
    """A view with all that it can show."""
    if view == "Session":
        find(page, "u13")
        page.get_by_label("Compare with").select_option("item-knn")
        page.get_by_role("heading", name="Recommended by item-knn").wait_for()
        page.locator(".why summary").first.click()
        return
    visit(page, view)
    if view == "Quality":
        page.locator("#quality-charts svg[role=img]").first.wait_for()
        page.get_by_text("As a table").first.click()
    elif view == "Models":
        page.get_by_role("article").first.wait_for()
        page.get_by_role("button", name="Activate: item-knn").click()
    else:
        page.get_by_label("Name").fill("new")
        page.get_by_label("Column of the items").fill("kind")
        page.get_by_label("Values, one a line").fill("odd")
        page.get_by_role("button", name="Try").click()
        page.locator("#cost table").wait_for()


@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        ("light", 1280),
        ("dark", 390),
        pytest.param("dark", 1280, marks=pytest.mark.slow),
        pytest.param("light", 390, marks=pytest.mark.slow),
    ],
)
def test_every_view_keeps_the_laws_of_an_accessible_page(browser, site, outcomes, scheme, width):
    with shown(browser, site.url, color_scheme=scheme, viewport={"width": width, "height": 900}) as page:
        page.get_by_role("button", name="API key").click()
        assert page.evaluate(LAWS) == []
        page.keyboard.press("Escape")
        for view in ("Session", "Quality", "Models", "Rules"):
            open_everything(page, view)
            assert page.evaluate(LAWS) == [], view
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, view
            page.keyboard.press("Escape")


def test_the_laws_find_what_they_are_for(page):
    find(page, "u14")
    page.evaluate(
        """() => {
          document.querySelector("#user").labels[0].remove();
          document.querySelector(".item-title").textContent = "";
          document.querySelector("#history-note").style.color = "#aaa";
          const head = document.createElement("h4");
          head.textContent = "deep";
          document.querySelector("#title-session").after(head);
        }"""
    )
    found = page.evaluate(LAWS)
    for law in ("a field has a label", "a control has a name", "text has contrast", "no level of headings"):
        assert any(law in one for one in found), law


def test_the_keyboard_is_enough(page, site):
    seen = []

    def tab() -> str:
        page.keyboard.press("Tab")
        label, text, tag, is_seen = page.evaluate(FOCUS)
        assert is_seen, f"the focus of {tag} {label} {text} is not seen"
        seen.append(label or text)
        return text

    assert tab() == "Skip to the content"
    page.keyboard.press("Enter")
    tab()
    assert page.evaluate("document.activeElement.id") == "user"
    page.keyboard.type("u15")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="History of u15").wait_for()
    settled(page)
    first = page.locator(".item-title").first.text_content()
    for _ in range(10):
        if tab() == first:
            break
    assert page.evaluate("document.activeElement.className") == "item-title"
    page.keyboard.press("Enter")
    page.get_by_text("13 events.").wait_for()
    settled(page)
    assert page.evaluate("document.activeElement === document.querySelector('.item-title')")
    tab()
    page.keyboard.press("Enter")
    assert page.locator(".why").first.get_attribute("open") is not None
    page.keyboard.press("Shift+Tab")
    for _ in range(12):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.hash") == "#models":
            break
    page.keyboard.press("Enter")
    page.get_by_role("article").first.wait_for()
    assert page.evaluate("document.activeElement.id") == "title-models"
    while tab() != "Activate":
        assert len(seen) < 60
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.textContent") == "Activate"
    assert site.api("GET", "/v1/models")["arms"][0]["model"] == "hgn"


def test_nothing_jumps(page, outcomes):
    find(page, "u16")
    page.locator(".item-title").first.click()
    page.get_by_text("13 events.").wait_for()
    settled(page)
    visit(page, "Quality")
    page.locator("#quality-charts svg[role=img]").first.wait_for()
    assert page.evaluate(SHIFTS) < 0.1


def test_where_one_is_can_be_read(page):
    for view in ("Quality", "Models", "Rules", "Session"):
        visit(page, view)
        current = page.locator("nav [aria-current=page]").all_inner_texts()
        assert (current, page.title()) == ([view], f"segue: {view.lower()}")
        assert page.evaluate("document.activeElement.textContent") == view
    page.go_back()
    page.get_by_role("heading", name="Rules", level=2).wait_for()


def test_no_question_grows_with_the_catalogue(page):
    """What the page requests is bounded, however many items and users there are."""
    asked = []
    page.on("request", lambda request: asked.append(urlsplit(request.url)))
    page.reload()
    for view in ("Session", "Quality", "Models", "Rules"):
        open_everything(page, view)
        page.keyboard.press("Escape")
    limits = {"/v1/recommend": "k", "/v1/users": "limit", "/v1/users/u13": "limit", "/v1/quality/series": "points"}
    free = {"/v1/models", "/v1/rules", "/v1/rules/try", "/v1/quality", "/metrics"}  # no items or users in the answers
    of_data = [one for one in asked if one.path != "/" and not one.path.startswith("/page/")]
    assert {one.path for one in of_data} <= {*limits, *free}
    for one in of_data:
        if one.path in limits:
            assert int(dict(parse_qsl(one.query))[limits[one.path]]) <= 30
