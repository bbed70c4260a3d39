"""The files of the page: what is sent with them, and that nothing in them runs what is not ours."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from segue.service.app import create_app
from segue.service.http.limits import Limits
from segue.service.routes.page import FILES, POLICY

FOLDER = Path(str(files("segue.service") / "page"))
SCRIPTS = sorted(FOLDER.glob("*.js"))
NEVER = {  # what makes code or elements from text, or loads what is not ours
    "elements from text": r"(inner|outer|insertAdjacent)HTML|document\.write|createContextualFragment|DOMParser|srcdoc",
    "code from text": r"\beval\b|new Function|setTimeout\(\s*[\"'`]|setInterval\(\s*[\"'`]|javascript:",
    "handlers as attributes": r"""[\s"']on[a-z]+\s*=\s*["']|setAttribute\(\s*["']on|["']on[a-z]+["']\s*:""",
    "other addresses": r"""(?:https?:)?//(?!www\.w3\.org/2000/svg)[a-z0-9.-]+\.[a-z]{2,}""",
    "styles in elements": r"<style|\sstyle=|setAttribute\(\s*[\"']style|cssText",
    "stores": r"localStorage|indexedDB|document\.cookie",
}


def paths() -> list[str]:
    return ["/", *(f"/page/{path.name}" for path in sorted(FOLDER.iterdir()))]


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_nothing_runs_that_is_not_ours(path):
    text = path.read_text(encoding="utf-8")
    for what, pattern in NEVER.items():
        found = re.search(pattern, text)
        assert not found, f"{path.name}: {what}: {found and found[0]}"
    if path.suffix == ".html":
        assert re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", text) == []
    if path.suffix == ".js":
        assert text.startswith("// @ts-check\n/**")
        before = re.findall(r"^(.*)\nexport ", text, re.MULTILINE)
        assert all(line.endswith("*/") for line in before), f"{path.name}: an export without JSDoc"
    assert len(text.splitlines()) <= 300


def test_the_lint_finds_what_it_is_for():
    bad = [
        "one.innerHTML = title",
        "eval(text)",
        'onclick="go()"',
        '{ "onclick": go }',
        "fetch('https://cdn.example.com/x.js')",
        "one.setAttribute('style', text)",
        "setTimeout('go()', 1)",
        "localStorage.key = 1",
    ]
    for text in bad:
        assert any(re.search(pattern, f" {text}") for pattern in NEVER.values()), text


def test_every_file_that_is_named_is_there():
    for path in [FOLDER / "index.html", *SCRIPTS]:
        text = path.read_text(encoding="utf-8")
        named = re.findall(r'(?:src|href)="/page/([^"]+)"', text) + re.findall(r'from "\./([^"]+)"', text)
        named += re.findall(r'import\("\./([^"]+)"\)', text)
        assert set(named) <= set(FILES), path.name
    assert set(FILES) == {path.name for path in FOLDER.iterdir()}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_every_file_has_its_headers(client, method):
    for path in paths():
        answer = client.request(method, path)
        assert answer.status_code == 200
        headers = answer.headers
        assert headers["content-security-policy"] == POLICY
        assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-cache")
        assert headers["referrer-policy"] == "no-referrer"
        name = path.rpartition("/")[2] or "index.html"
        assert headers["content-type"].split(";")[0] == FILES[name].media_type.split(";")[0]
        assert answer.content == ((FOLDER / name).read_bytes() if method == "GET" else b"")
        assert int(headers["content-length"]) == len((FOLDER / name).read_bytes())


def test_the_policy_allows_our_own_files_only():
    rules = dict(rule.split(" ", 1) for rule in POLICY.split("; "))
    assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert {rules[f"{one}-src"] for one in ("script", "style", "connect", "img")} == {"'self'"}
    assert "unsafe" not in POLICY


def test_a_file_is_sent_again_only_if_it_changed(client):
    tags = {client.get(path).headers["etag"] for path in paths()}
    assert len(tags) == len(FILES)
    for path in paths():
        tag = client.get(path).headers["etag"]
        for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            answer = client.get(path, headers={"If-None-Match": given})
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
            assert answer.headers["content-security-policy"] == POLICY
        assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    "name", ["nothing.js", "__init__.py", "..%2Fapp.py", "%2e%2e/app.py", "../app.py", "index.html%00", ""]
)
def test_no_other_file_is_sent(client, name):
    answer = client.get(f"/page/{name}")
    assert answer.status_code == 404
    assert answer.json()["title"] == "Not Found"
    assert client.post("/").status_code == 405


def test_the_page_is_open_and_its_data_are_not(service):
    with TestClient(create_app(service, Limits(keys=True))) as guarded:
        assert {guarded.get(path).status_code for path in paths()} == {200}
        for path in ("/v1/models", "/v1/users/u1", "/v1/recommend?user=u1", "/metrics"):
            assert guarded.get(path).status_code == 401
