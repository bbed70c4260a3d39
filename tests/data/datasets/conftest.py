"""A site on this machine that serves what a test puts into its `pages`."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Site:
    """Pages by path; `cut` bytes of each are withheld at the end."""

    def __init__(self):
        self.pages = {}
        self.cut = 0
        self.asked = []


@pytest.fixture
def site(monkeypatch):
    """A running site: `site.url`, `site.pages["/a.zip"] = bytes`."""
    monkeypatch.setenv("no_proxy", "*")
    served = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            served.asked.append(self.path)
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
