"""Take the pictures of the page: `python docs/page_pictures.py URL USER MODEL OTHER` (needs playwright and chromium).

docs/images/page-session.png   a user, with the recommendations of two models
docs/images/page-quality.png   the live quality

URL is that of a service that answers, such as http://localhost:8000, with the models MODEL and OTHER and some traffic.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent / "images"
SECONDS = 75  # for the charts of the requests
SIZES = {"session": (1280, 860), "quality": (1280, 1240)}


def take(page: Any, name: str) -> None:
    """Save what a page shows."""
    width, height = SIZES[name]
    page.set_viewport_size({"width": width, "height": height})
    page.screenshot(path=IMAGES / f"page-{name}.png")


def main(url: str, user: str, model: str, other: str) -> None:
    """Both pictures."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(locale="en-GB", color_scheme="light", viewport={"width": 1280, "height": 900})
        page.goto(url)
        page.locator(f"#right-model option[value={other}]").wait_for(state="attached")
        page.get_by_label("User or session").fill(user)
        page.keyboard.press("Enter")
        page.locator("#title-left").wait_for()
        page.get_by_label("Model", exact=True).select_option(model)
        page.locator("#title-left", has_text=model).wait_for()
        page.get_by_label("Compare with").select_option(other)
        page.locator("#title-right", has_text=other).wait_for()
        page.locator(".why summary").first.click()
        page.mouse.move(0, 0)
        take(page, "session")
        page.emulate_media(color_scheme="dark")
        page.goto(f"{url}/#quality")
        page.set_viewport_size({"width": 1280, "height": SIZES["quality"][1]})
        page.wait_for_timeout(1000 * SECONDS)
        take(page, "quality")
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
