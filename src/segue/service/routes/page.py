"""The page at /: files of our own that the browser of a person runs. There is no data in them; that comes from /v1.

/                  index.html
/page/main.js      the other files of the folder `segue/service/page`

Every answer names the hash of its content, so that a browser loads a file again only if it changed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from fastapi import APIRouter, HTTPException, Request, Response

router = APIRouter(include_in_schema=False)
INDEX = "index.html"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)


@dataclass(frozen=True)
class PageFile:
    """A file of the page.

    Attributes:
        content: its bytes.
        media_type: what a browser takes it for.
        etag: identifies the content.
    """

    content: bytes
    media_type: str
    etag: str


def read_page() -> dict[str, PageFile]:
    """The files of the page, by name."""
    found = {}
    for file in (files("segue.service") / "page").iterdir():
        media_type = MEDIA_TYPES.get(f".{file.name.rpartition('.')[2]}")
        if media_type is not None:
            content = file.read_bytes()
            found[file.name] = PageFile(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
    return found


FILES = read_page()


@router.api_route("/", methods=["GET", "HEAD"])
async def index(request: Request) -> Response:
    """The page."""
    return _answer(request, FILES[INDEX])


@router.api_route("/page/{name}", methods=["GET", "HEAD"])
async def file(request: Request, name: str) -> Response:
    """A file of the page."""
    found = FILES.get(name)
    if found is None:
        raise HTTPException(404, f"{name}: is no file of the page; /docs describes all routes")
    return _answer(request, found)


def _answer(request: Request, found: PageFile) -> Response:
    headers = {"ETag": found.etag, "Cache-Control": "no-cache", "Content-Security-Policy": POLICY}
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if found.etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    content = b"" if request.method == "HEAD" else found.content
    headers["Content-Length"] = str(len(found.content))
    return Response(content, media_type=found.media_type, headers=headers)
