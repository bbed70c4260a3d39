"""The commands of the page on serving, with a real service; the files of deploy/ say what can be run."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2
import polars as pl
import pytest
import yaml

from segue.cli import app
from segue.event_store.store import open_store

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
FENCE = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
READY = re.compile(r"segue is ready: http://127\.0\.0\.1:(\d+)")
SEGUE = f"{shlex.quote(sys.executable)} -m segue"


def blocks(page: str) -> list[str]:
    """The shell commands of a page."""
    return FENCE.findall((ROOT / page).read_text(encoding="utf-8"))


def run(block: str, folder: Path, port: int = 0) -> str:
    """Run commands in a folder; what they print."""
    text = re.sub(r"^segue ", f"{SEGUE} ", block, flags=re.MULTILINE).replace("localhost:8000", f"localhost:{port}")
    text = text.replace("curl ", "curl --fail-with-body --silent --show-error ")
    done = subprocess.run(["bash", "-ec", text], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def started(block: str, folder: Path) -> Iterator[int]:
    """Start the service of a block; its port."""
    command = [sys.executable, "-m", *shlex.split(block, comments=True), "--port", "0"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            found = next((found for line in process.stderr if (found := READY.search(line))), None)
            assert found is not None
            yield int(found[1])
        finally:
            process.terminate()


@pytest.fixture
def here(tmp_path) -> Path:
    if shutil.which("curl") is None or shutil.which("bash") is None:
        pytest.skip("no curl or no bash")
    rows = [(f"u{user}", f"i{(user + step) % 20}", 1_700_000_000 + step) for user in range(30) for step in range(12)]
    pl.DataFrame(rows, ["user", "item", "time"], orient="row").write_csv(tmp_path / "events.csv")
    return tmp_path


def test_the_commands_of_the_page_on_serving_work(here):
    train, serve, ask = blocks("docs/how-to/serve-a-model.md")[:3]
    backup = next(block for block in blocks("docs/how-to/operate-a-service.md") if "backup.db" in block)
    run(train, here)
    with started(serve, here) as port:
        answers = run(ask, here, port)
        refused = httpx2.get(f"http://localhost:{port}/v1/recommend?user=u1&k=0")
        run(backup, here)
    with closing(open_store(f"sqlite:///{here / 'backup.db'}")) as store:
        assert len(store.events) == 30 * 12 + 1
    assert [int(number) for number in re.findall(r'"events":(\d+)', answers)[:2]] == [12, 13]
    assert '"stored":1' in answers
    page = (ROOT / "docs/how-to/serve-a-model.md").read_text(encoding="utf-8")
    (problem,) = re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert json.loads(problem) == refused.json()
    assert '"similarity"' in answers


def test_the_commands_of_the_page_on_items_and_rules_work(here):
    page = "docs/how-to/items-and-rules.md"
    train, serve = blocks("docs/how-to/serve-a-model.md")[:2]
    files = re.findall(r"^```json\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for name, content in zip(("items.json", "rules.json"), files, strict=True):
        (here / name).write_text(content, encoding="utf-8")
    run(train, here)
    with started(serve, here) as port:
        items, filtered, rules, asked = (run(block, here, port) for block in blocks(page))
        assert '"new":["oat"]' in items
        assert items.count('"title":"Beer"') == 1
        assert {"i1", "i2", "oat"} >= set(re.findall(r'"item":"(\w+)","title":"[^"]*","score"', filtered))
        assert "recall@10" in rules
        assert asked.count('"score"') == 10
    with closing(open_store(f"sqlite:///{here / 'segue-events.db'}")) as store:
        assert sorted(store.rules.all()) == ["no-alcohol", "own-brand"]


def test_the_way_of_the_readme_works(here):
    way = next(block for block in blocks("README.md") if "segue serve" in block)
    train, serve, *ask = way.splitlines()
    run(train, here)
    with started(serve, here) as port:
        answers = run("\n".join(ask), here, port)
        page = run("curl localhost:8000/", here, port)
    assert '"events":13' in answers
    assert "<title>segue</title>" in page


def test_the_unit_of_systemd_is_right_and_hardened(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    unit = tmp_path / "segue.service"
    text = (DEPLOY / "segue.service").read_text(encoding="utf-8")
    unit.write_text(text.replace("/opt/segue/bin/segue", shutil.which("true") or "/bin/true"), encoding="utf-8")
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    analyzed = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert analyzed.returncode == 0, analyzed.stdout


def accepted(words: list[str]) -> None:
    """The words are a command of segue."""
    app.parse_args(words, exit_on_error=False, print_error=False)


def test_the_files_for_containers_fit_together():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    postgres, service = compose["services"]["postgres"], compose["services"]["segue"]
    accepted(service["command"])
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    assert service["environment"]["PGPASSWORD"] == postgres["environment"]["POSTGRES_PASSWORD"]
    for one in compose["services"].values():
        assert ":latest" not in one.get("image", "")
        assert set(one.get("volumes", [])) <= {"events:/var/lib/postgresql/data", "../models:/var/lib/segue/models"}
    for line in (DEPLOY / "compose.yaml").read_text(encoding="utf-8").splitlines():
        found = re.search(r"run --rm segue (serve .*)", line)
        if found:
            accepted(shlex.split(found[1]))


def test_the_image_runs_the_service_without_privileges():
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    given = [(name, rest) for name, rest in lines]
    known = {"FROM", "WORKDIR", "COPY", "RUN", "USER", "ENV", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert {name for name, _ in given} <= known
    assert all(":" in rest and ":latest" not in rest for name, rest in given if name == "FROM")
    assert [rest for name, rest in given if name == "USER"] == ["10001"]
    assert "useradd --system --uid 10001 " in text
    entry, command = (yaml.safe_load(rest) for name, rest in given[-2:])
    assert entry == ["segue"]
    accepted(command)
    health = re.search(r"CMD (\[.*\])", next(rest for name, rest in given if name == "HEALTHCHECK"))
    assert health is not None
    compile(yaml.safe_load(health[1])[2], "health", "exec")
