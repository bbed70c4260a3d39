"""`segue monitor` shows what a running service says about itself."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from segue.cli import status
from segue.cli.service_client import Traffic, read_traffic

ARM = {
    "model": "hgn",
    "fingerprint": "0123456789abcdef",
    "arm": "one",
    "active": True,
    "lists": 1234,
    "users": 321,
    "short": 0,
    "recall": {"mean": 0.1234, "low": 0.11, "high": 0.13},
    "mrr": {"mean": 0.05, "low": 0.04, "high": 0.06},
    "offline_recall": {"mean": 0.2, "low": 0.19, "high": 0.21},
    "offline_mrr": None,
    "drop": True,
    "message": "x",
}
METRICS = """
segue_request_seconds_bucket{le="0.001",route="/v1/recommend"} 6.0
segue_request_seconds_bucket{le="0.01",route="/v1/recommend"} 9.0
segue_request_seconds_bucket{le="+Inf",route="/v1/recommend"} 10.0
segue_request_seconds_count{route="/v1/recommend"} 10.0
segue_answers_total{fallback="false",model="hgn"} 6.0
segue_answers_total{fallback="true",model="hgn"} 2.0
"""


@pytest.fixture
def address():
    """A small server with a fixed answer; a path that it does not know is 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers = {
                "/v1/quality": json.dumps({"k": 10, "hours": 24.0, "skipped": 0, "arms": [ARM]}),
                "/metrics": METRICS,
            }
            body = answers.get(self.path.partition("?")[0])
            if "hours=9000" in self.path:
                self.send_response(422)
                self.end_headers()
                self.wfile.write(b'{"detail": "query hours: must be at most 8784"}')
                return
            self.send_response(200 if body else 404)
            self.end_headers()
            self.wfile.write((body or "").encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_one_table(address, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    file = tmp_path / "quality.json"
    assert status(["monitor", address, "--once", "--json", str(file)]) == 0
    out = " ".join(capsys.readouterr().out.split())  # wherever lines end
    for text in ("hgn", "one", "1,234", "0.123 (0.110 to 0.130)", "0.200 (0.190 to 0.210)", "drop", "25.0% fallback"):
        assert text in out
    assert json.loads(file.read_text())["arms"] == [ARM]


def test_latency_and_rate_are_of_the_time_between_two_looks():
    before, after = read_traffic(METRICS), read_traffic(METRICS.replace("6.0", "16.0").replace("10.0", "30.0"))
    between = after.since(before)
    assert (between.requests, between.quantile(0.5)) == (20.0, 0.001)
    assert before.quantile(0.9) == 0.01
    assert before.since(after) is before  # the service was started again
    assert Traffic(0, 0, {}, 0, 0).quantile(0.5) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ftp://x"], "not the address of a service"),
        (["http://127.0.0.1:9"], "does not answer"),
        (["{address}/elsewhere"], "answers 404"),
        (["{address}", "--hours", "9000"], "answers 422 Unprocessable Entity: query hours: must be at most 8784"),
        (["{address}", "-k", "0"], "from 1 to 100"),
        (["{address}", "--every", "0"], "above 0"),
    ],
)
def test_what_cannot_be_watched_is_said(address, capsys, arguments, message):
    assert status(["monitor", *(one.format(address=address) for one in arguments), "--once"]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_the_key_goes_to_no_other_host(address, monkeypatch, capsys):
    """A redirect is not followed."""
    keys = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.append(self.headers.get("Authorization"))
            self.send_response(302)
            self.send_header("Location", f"{address}{self.path}")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("SEGUE_API_KEY", "the-key")
    server = HTTPServer(("127.0.0.1", 0), Elsewhere)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        assert status(["monitor", f"http://localhost:{server.server_port}", "--once"]) == 2
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    said = " ".join(capsys.readouterr().err.split())
    assert "answers 302 Found; give the address that it redirects to" in said
    assert keys == ["Bearer the-key"]
