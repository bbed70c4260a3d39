"""A service on a port, and a Chromium that shows its page. What the browser complains of fails the test."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import httpx2
import pytest
import uvicorn

from segue.service.app import create_app
from segue.service.http.limits import Limits
from segue.service.run_server import listen, server_config
from segue.service.service import Service
from segue.service.start import start_service

CHROMIUM = "SEGUE_TEST_CHROMIUM"
LONG = "A very long title " * 30
TITLES = {
    "i1": "<img src=x onerror=alert(1)><b>Bold</b>",
    "i2": "مرحبا بالعالم, a title from right to left",
    "i3": "A tea pot 🫖👩🏽‍🚀",
    "i4": LONG,
    "i5": "x" * 300,
}


@dataclass
class Site:
    """A service that answers on a port."""

    url: str
    service: Service
    keys: dict[str, str]

    def api(self, method: str, path: str, body: object = None) -> object:
        """Ask the service without the page."""
        headers = {"Authorization": f"Bearer {self.keys['admin']}"} if self.keys else {}
        answer = httpx2.request(method, self.url + path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None


@contextmanager
def running(models: Path, folder: Path, *, keys: bool = False) -> Iterator[Site]:
    """A service of its own store."""
    service = start_service(models, f"sqlite:///{folder / 'events.db'}", active="hgn")
    made = {role: service.store.keys.new(role) for role in ("read", "write", "admin")} if keys else {}
    service.keys.keys = service.store.keys.all()
    listener = listen("127.0.0.1", 0)
    limits = Limits(keys=keys)
    server = uvicorn.Server(server_config(create_app(service, limits), limits.connections))
    thread = Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield Site(f"http://127.0.0.1:{listener.getsockname()[1]}", service, made)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture(scope="module")
def site(models, tmp_path_factory) -> Iterator[Site]:
    """A service that asks for no key; its items have kinds, and some have odd titles."""
    with running(models, tmp_path_factory.mktemp("site")) as opened:
        items = [
            {
                "item": f"i{n}",
                "columns": {"kind": "odd" if n % 2 else "even"},
                "title": TITLES.get(f"i{n}", f"Item {n}"),
            }
            for n in range(30)
        ]
        opened.api("PUT", "/v1/items", {"items": items})
        yield opened


@pytest.fixture(scope="module")
def guarded(models, tmp_path_factory) -> Iterator[Site]:
    """A service that asks for keys."""
    with running(models, tmp_path_factory.mktemp("guarded"), keys=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Chromium; the tests are skipped where none is."""
    found = os.environ.get(CHROMIUM) or shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip(f"no Chromium: put chromium or google-chrome on PATH, or its path into {CHROMIUM}")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@contextmanager
def shown(browser, url: str, *, allowed: tuple[str, ...] = (), **options: object) -> Iterator[object]:
    """A page; errors that the browser reports fail the test.

    Args:
        browser: Chromium.
        url: address of the page.
        allowed: parts of messages that the test expects.
        options: of the browser's context, such as color_scheme.
    """
    context = browser.new_context(locale="en-GB", timezone_id="UTC", reduced_motion="reduce", **options)
    context.set_default_timeout(10_000)
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda message: message.type in ("error", "warning") and errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(f"not caught: {error}"))
    page.on("dialog", lambda dialog: (errors.append(f"a dialog: {dialog.message}"), dialog.dismiss()))
    page.goto(url)
    yield page
    context.close()
    assert [one for one in errors if not any(part in one for part in allowed)] == []


@pytest.fixture
def page(browser, site) -> Iterator[object]:
    """The page of a service without keys."""
    with shown(browser, site.url) as opened:
        yield opened


def visit(page, view: str) -> None:
    """Open a view."""
    page.get_by_role("navigation").get_by_role("link", name=view).click()
    page.get_by_role("heading", name=view, level=2).wait_for()
