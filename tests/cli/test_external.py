"""Models from outside segue: a class in a file, an importable class, and an entry point, in every command."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path

import pytest

from segue.errors import ArtefactError, ConfigError
from segue.models.registry import MODELS, find
from segue.serving.saved_model import load
from segue.testing import check

from .logs import TRAINED

EXAMPLE = Path(__file__).parents[2] / "examples" / "fmc.py"
FMC = "./fmc.py:FMC"
SMALL = "--set embedding_dim=4 epochs=2"
HEAD = "from segue.models.popularity.pop import Pop\nfrom segue.models.base.model import Model\n"


@pytest.fixture
def fmc(here):
    """The example model as a file in the current folder."""
    return shutil.copy(EXAMPLE, here / "fmc.py")


def done(answer):
    """The output of a command that must have worked."""
    code, out, err = answer
    assert code == 0, err
    return out


def means(path, row):
    return {name: cell["mean"] for name, cell in json.loads(path.read_text())["models"][row]["metrics"].items()}


def test_the_example_passes_the_laws():
    check(find(f"{EXAMPLE}:FMC"), embedding_dim=8)


def test_the_example_runs_end_to_end(segue, here, fmc, monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET")
    code, out, err = segue(f"run {FMC} events.csv {SMALL} --json run.json")
    assert code == 0
    assert " fmc " in out
    assert f"saved to models/fmc ({TRAINED}); fmc is no" in err
    assert err.endswith(f"; next: segue recommend models/fmc --user u0 --model-class {FMC}\n")
    assert "Recommended to user u0" in done(segue(err.rpartition("next: segue ")[2]))
    found = json.loads((here / "run.json").read_text())
    assert (found["models"][-1]["model"], found["experiment"]["model"]) == ("fmc", "fmc")
    done(segue(f"evaluate models/fmc models/pop --data events.csv --model-class {FMC} --json again.json"))
    assert means(here / "again.json", 0) == means(here / "run.json", -1)
    assert "Contributions" in done(segue(f"explain models/fmc --user u3 --model-class {FMC}"))


def test_an_external_model_is_searched_and_compared(segue, here, fmc, sequential_workers):
    out = done(segue(f"search {FMC} events.csv --trials 2 --set epochs=2 --no-baselines --json found.json"))
    assert "is the best of 2, with ndcg@10" in out
    found = json.loads((here / "found.json").read_text())
    assert {"embedding_dim", "loss", "lr"} <= set(found["experiment"]["settings"])
    assert load(here / "models/fmc", models=[find(FMC)]).model.name == "fmc"
    out = done(segue(f"compare events.csv --models pop,{FMC} --trials 1 --json compared.json"))
    assert {row["model"] for row in json.loads((here / "compared.json").read_text())["models"]} == {"pop", "fmc"}
    assert (here / "compare/events/fmc/model.json").is_file()
    assert segue(f"compare events.csv --models pop,{FMC} --exclude {FMC},pop")[0] == 2
    code, _, err = segue(f"compare events.csv --models {FMC},{fmc}:FMC")
    assert code == 2
    assert "two of the models have the same name" in err


def test_an_external_model_is_blended_and_reranked(segue, here, fmc, monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET")
    done(segue(f"run {FMC} events.csv {SMALL} --no-baselines"))
    code, _, err = segue(f"blend models/pop models/fmc --data events.csv --model-class {FMC}")
    assert code == 0
    assert "Recommended to user u0" in done(segue(err.rpartition("next: segue ")[2]))
    recommend = f"recommend models/fmc --user u0 --model-class {FMC}"
    for first, options, following in (
        (FMC, "", f"run {FMC} events.csv"),
        ("models/fmc", f"--model-class {FMC}", recommend),
    ):
        code, _, err = segue(f"run pop events.csv --rerank {first} {options} --no-baselines")
        assert code == 0
        folder = "models/pop-after-fmc"
        assert f"saved to {folder} ({TRAINED}); " in err
        assert err.endswith(f", p < .001); next: segue {following}\n"), "the first stage alone is better"
        done(segue(following))
    code, _, err = segue("recommend models/pop-after-fmc --user u0")
    assert code == 2
    assert f"models/pop-after-fmc: holds a model 'fmc' that this segue does not have; {HINT}" in err


HINT = f"if the class is your own, name it with --model-class {FMC} (in Python: load(folder, models=[CLASS]))"


def test_loading_needs_the_class_and_imports_nothing(segue, here, fmc):
    done(segue(f"run {FMC} events.csv {SMALL} --no-baselines"))
    Path(fmc).write_text("raise SystemError('imported')\n")
    for command in (
        "recommend models/fmc --user u0",
        "explain models/fmc --user u0",
        "evaluate models/fmc --data events.csv",
        "blend models/pop models/fmc --data events.csv",
        "run pop events.csv --rerank models/fmc",
    ):
        code, out, err = segue(command)
        assert (code, out) == (2, "")
        assert err == f"segue: models/fmc: holds a model 'fmc' that this segue does not have; {HINT}\n"
    with pytest.raises(ArtefactError, match="holds a model 'fmc'"):
        load("models/fmc", models=[MODELS["hgn"]])


def test_a_changed_file_is_read_again(here, fmc):
    first = find(FMC)
    assert find(FMC) is first
    Path(fmc).write_text(Path(fmc).read_text().replace("window = 1", "window = 1  # the last item"))
    assert find(FMC) is not first


def test_an_importable_class(segue, here, fmc, monkeypatch):
    monkeypatch.syspath_prepend(str(here))
    (here / "shop").mkdir()
    shutil.move(fmc, here / "shop/models.py")
    done(segue(f"run shop.models:FMC events.csv {SMALL} --no-baselines"))
    assert json.loads((here / "models/fmc/model.json").read_text())["class"] == "shop.models:FMC"
    done(segue("recommend models/fmc --user u0 --model-class shop.models:FMC"))


@pytest.mark.parametrize(
    ("reference", "source", "message"),
    [
        ("./fcm.py:FMC", "", "./fcm.py: no such file; a model from outside segue is given as ./FILE.py:CLASS or pac"),
        ("./mine.py", "", "./mine.py: name the class too, such as ./mine.py:MyModel"),
        ("./mine.py:", "", "./mine.py:: name the class too, such as ./mine.py:MyModel"),
        (
            "./mine.py:Mime",
            f"{HEAD}class Mine(Pop): name = 'mine'",
            "./mine.py: has no class 'Mime', did you mean 'Mine'?; its models are: Mine",
        ),
        ("./mine.py:Mine", "", "./mine.py: has no class 'Mine'; its models are: none"),
        ("./mine.py:x", "x = 3", "./mine.py:x: is not a model; derive the class from segue.Model"),
        ("./mine.py:Mine", "class Mine: pass", "./mine.py:Mine: is not a model; derive the class from segue.Model"),
        (
            "./mine.py:Mine",
            f"{HEAD}class Mine(Pop): name = 'hgn'",
            "./mine.py:Mine: segue has a model called 'hgn'; give the class another name",
        ),
        ("./mine.py:Mine", f"{HEAD}class Mine(Pop): name = 'blend'", "segue has a model called 'blend'"),
        ("./mine.py:Mine", f"{HEAD}class Mine(Model): pass", "./mine.py:Mine: the class needs the attribute name = "),
        (
            "./mine.py:Mine",
            f"{HEAD}class Mine(Model):\n    name = 'mine'\n    Config = Pop.Config",
            "./mine.py:Mine: the class does not define score",
        ),
        (
            "./mine.py:Mine",
            f"{HEAD}class Mine(Model):\n    name = 'mine'\n    Config = dict",
            "./mine.py:Mine: its Config must derive from segue.config.Config",
        ),
        ("./mine.py:Mine", "import nosuch", "./mine.py: cannot be imported: line 1: ModuleNotFoundError: No module"),
        ("./mine.py:Mine", "\nclass Mine(", "./mine.py: cannot be imported: line 2: SyntaxError: '(' was never closed"),
        ("./mine.py:Mine", "import sys; sys.exit(3)", "./mine.py: cannot be imported: line 1: SystemExit: 3"),
        ("./mine.py:Mine", "\n\nint('x')", "./mine.py: cannot be imported: line 3: ValueError: invalid literal for"),
        ("nosuch.models:Mine", "", "nosuch.models: no such module is installed; a file is given as ./FILE.py:CLASS"),
        ("json.nosuch:Mine", "", "json.nosuch: no such module is installed"),
        ("json:Mine", "", "json: has no class 'Mine'; its models are: none"),
        ("mine", "", "no model 'mine'; there are: pop, "),
    ],
)
def test_wrong_references_give_one_message(segue, here, reference, source, message):
    (here / "mine.py").write_text(source)
    for command in (f"run {reference} events.csv", f"recommend models/pop --user u0 --model-class {reference}"):
        code, out, err = segue(command)
        assert (code, out) == (2, "")
        assert err.startswith("segue: ")
        assert message in err
        assert err.count("\n") == 1


@pytest.fixture
def install(here, monkeypatch):
    """`install("shop-models", fmc="module:Class")`: a package in the current folder that declares entry points."""
    monkeypatch.syspath_prepend(str(here))

    def write(package, **values):
        folder = here / f"{package.replace('-', '_')}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {value}\n" for name, value in values.items()]
        (folder / "entry_points.txt").write_text("".join(["[segue.models]\n", *lines]))
        importlib.invalidate_caches()

    return write


def test_an_entry_point_is_a_model_by_its_name(segue, here, fmc, install):
    shutil.move(fmc, here / "shop_fmc.py")
    install("shop-models", fmc="shop_fmc:FMC")
    done(segue(f"run fmc events.csv {SMALL} --no-baselines"))
    assert segue("recommend models/fmc --user u0")[0] == 2
    assert json.loads((here / "models/fmc/model.json").read_text())["class"] == "fmc"
    done(segue("recommend models/fmc --user u0 --model-class fmc"))
    assert "shop-models" in done(segue("models"))


def test_a_broken_entry_point_breaks_only_itself(segue, here, install):
    install("shop-models", broken="nosuch_module:Broken", hgn="nosuch_module:HGN")
    done(segue("run pop events.csv"))
    assert find("hgn") is MODELS["hgn"]
    out = " ".join(done(segue("models")).split())
    assert "model 'broken' of the package shop-models: cannot be imported: ModuleNotFoundError" in out
    code, _, err = segue("run broken events.csv")
    assert code == 2
    assert err.startswith(
        "segue: model 'broken' of the package shop-models: cannot be imported: ModuleNotFoundError: No"
    )
    code, _, err = segue("run brokem events.csv")
    assert "no model 'brokem', did you mean 'broken'" in err


def test_entry_points_with_unclear_names(install):
    install("one-shop", twice="json:Mine", mine="segue.models.popularity.pop:Pop")
    install("other-shop", twice="json:Other")
    with pytest.raises(ConfigError, match=r"is declared by (one|other)-shop and by (one|other)-shop; choose one: "):
        find("twice")
    with pytest.raises(ConfigError, match="of the package one-shop: segue has a model called 'pop'; give"):
        find("mine")
