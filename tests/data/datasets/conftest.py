"""A local web site that serves the `pages` of a test."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Site:
    """Pages by path; the last `cut` bytes of each are not sent."""

    def __init__(self):
        self.pages = {}
        self.cut = 0
        self.requests = []


@pytest.fixture
def site(monkeypatch):
    """A running web site: `site.url`, `site.pages["/a.zip"] = bytes`."""
    monkeypatch.setenv("no_proxy", "*")
    served = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            served.requests.append(self.path)
            page = served.pages.get(self.path)
            if page is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page[: len(page) - served.cut])

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield served
    server.shutdown()
    thread.join()
    server.server_close()
