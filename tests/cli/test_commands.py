"""`segue recommend`, `data`, `demo` and `reproduce`: what they print, write and save."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.metadata import version

from segue import papers
from segue.data.datasets import catalog
from segue.data.readers.ingest import read_log
from segue.data.synthetic import cycle
from segue.papers.reproduction import Reproduction, Row
from segue.reporting.heatmap import decimals_of, format_score
from segue.serving import saved_model

from .logs import PYTHON, done


def test_recommend_for_a_user_and_for_a_history_shows_titles(segue, here):
    rows = "".join(f"{i},[{'abcdefgh'[i]}] film,{1990 + i}\n" for i in range(8))
    (here / "films.csv").write_text(f"item,title,year\n{rows}")
    done(segue("run hgn events.csv --items films.csv --set embedding_dim=4 epochs=30"))
    out = done(segue("recommend models/hgn --user u1 --json user.json"))
    found = json.loads((here / "user.json").read_text())
    assert found["user"] == "u1"
    assert found["last_seen"] == [f"[{'abcdefgh'[i]}] film ({1990 + i})" for i in (4, 5, 6, 7, 0)]
    assert {one["item"] for one in found["recommended"]} == {1, 2}
    scores = [one["score"] for one in found["recommended"]]
    assert scores == sorted(scores, reverse=True)
    assert all(f" {title}\n" in out for title in found["last_seen"])
    for one in found["recommended"]:
        assert f"{one['title']} " in out
        assert format_score(one["score"], decimals_of(scores)) in out
    done(segue("recommend models/hgn --history 2,3,4 -k 1 --json history.json"))
    (one,) = json.loads((here / "history.json").read_text())["recommended"]
    assert one["title"] == "[f] film (1995)"


def test_recommend_with_every_item_seen(segue):
    out = done(segue("recommend models/pop --history 0,1,2,3,4,5,6,7"))
    assert "Nothing is left to recommend to this history: every item was seen." in out


def test_data_shows_a_log_and_saves_it_for_other_commands(segue, here):
    out = done(segue("data events.csv --out log --json data.json"))
    assert "72 events of 12 users with 8 items" in out
    found = json.loads((here / "data.json").read_text())
    assert found["fingerprint"] == read_log("events.csv").fingerprint
    assert [step["rows"] for step in found["steps"]] == [72]
    done(segue("evaluate models/pop --data log"))


def test_json_is_written_to_a_pipe(here):
    ran = subprocess.run([*PYTHON, "data", "events.csv", "--json", "/dev/stdout"], capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout[ran.stdout.index(b"{") :])["num_rows"] == 72


def test_demo_trains_compares_saves_and_recommends(segue, here, monkeypatch):
    asked = []
    log = cycle(num_users=60, num_items=12, length=8)
    monkeypatch.setattr(catalog, "load_log", lambda name: asked.append(name) or log)
    preset = dict(saved_model.MODELS["hgn"].presets["recbole"])
    monkeypatch.setitem(saved_model.MODELS["hgn"].presets, "recbole", {**preset, "epochs": 2})
    out = done(segue("demo --out shown --json demo.json"))
    assert asked == ["ml-100k"]
    assert "Recommended to user 42:" in out
    assert [row["model"] for row in json.loads((here / "demo.json").read_text())["models"]] == [
        *("pop", "item-knn", "seq-knn", "bprmf", "hgn")
    ]
    assert {folder.name for folder in (here / "shown").iterdir()} == {"pop", "item-knn", "seq-knn", "bprmf", "hgn"}


def test_reproduce_prints_measured_and_published_values(segue, here, monkeypatch):
    row = Row(method="HGN", metric="recall@10", measured=(0.04, 1 / 3), published=0.0426)
    monkeypatch.setitem(
        papers.TABLES,
        "toy",
        lambda runs, quick: Reproduction(
            title="Table 0",
            rows=(row,),
            notes=(f"quick={quick}, overwrite={runs.overwrite} in {runs.folder}",),
        ),
    )
    out = done(segue("reproduce toy --quick --fresh --runs kept --json table.json --out pages"))
    assert re.search(r"HGN .*\.1867 .*\.0426 .*4\.38 *\n .*\.0400–\.3333", out)
    assert "quick=True, overwrite=True in kept" in out
    stored = json.loads((here / "table.json").read_text())
    assert stored["rows"][0]["seeds"] == [0.04, 1 / 3]
    assert (stored["command"], stored["version"]) == ("segue reproduce toy --quick", version("segue"))
    assert ">.1867</td>" in (here / "pages" / "toy.html").read_text()


def test_reproduce_without_a_table_lists_them(segue, here):
    out = done(segue("reproduce --json tables.json"))
    assert re.search(r"hcrnn-table3 +HCRNN, Table 3 +eleven methods", out)
    assert [row["table"] for row in json.loads((here / "tables.json").read_text())["tables"]][1] == "hgn-table3"


def test_a_package_that_is_not_installed_is_named(segue, monkeypatch):
    for package, installed in (("torch.nn", "segue"), ("optuna.storages", "segue[tune]")):
        monkeypatch.setattr(catalog, "load_log", without(package))
        name = package.partition(".")[0]
        said = f'segue: this needs the package {name}, which is not installed: pip install "{installed}"\n'
        assert segue("data events.csv")[::2] == (2, said)


def without(package):
    def load(*words, **options):
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    return load
