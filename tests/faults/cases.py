"""The commands that are killed: what each reads, what it writes, and what must be the same however often it is run."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segue.data import synthetic

# what differs from one run to the next: times, memory, and the hashes of files that hold them
VOLATILE = {
    "seconds",
    "cpu_seconds",
    "test_cpu_seconds",
    "tuning_seconds",
    "peak_mb",
    "hash",
    "spent",
    "number",
    "train_seconds",
    "saved",
}
# kinds of files that are compared by their names alone: they hold times, or the history of an optimiser
UNCOMPARED = (".log", ".html", ".svg", ".lock")


@dataclass(frozen=True)
class Case:
    """A command whose faults are tested.

    Attributes:
        command: without the word segue.
        prepare: commands that are run before it, in the folder that every fault starts from.
        every: only every n-th change is tested in all tests; 1 for all.
    """

    command: str
    prepare: tuple[str, ...] = ()
    every: int = 1

    @property
    def name(self) -> str:
        """The command of segue."""
        return self.command.split()[0]


_HGN = "hgn events.csv --set embedding_dim=4 epochs=3 --no-baselines"
_POP = "run pop events.csv --no-baselines"
_MODELS = (f"run {_HGN}", _POP)
_SEARCH = "search bprmf events.csv --space space.toml --trials 5 --set epochs=2 batch_size=64 --no-baselines"
_COMPARE = "compare events.csv --models pop,item-knn,bprmf --trials 2 --jobs 1 -o compared --patience 1"

CASES = {
    "ingest": Case("data events.csv -o log"),
    "ingest over a log": Case("data events.csv -o log --item-core 12", prepare=("data events.csv -o log",)),
    "save": Case(_POP),
    "save over a model": Case("run item-knn events.csv --no-baselines -o models/pop", prepare=(_POP,)),
    "run": Case(f"run {_HGN}"),
    "run over a model": Case(f"run {_HGN} --seed 3 --json result.json", prepare=(f"run {_HGN} --json result.json",)),
    "refit": Case(f"run {_HGN} --refit"),
    "seeds": Case(f"run {_HGN} --seeds 2 --final"),
    "rerank": Case("run bprmf events.csv --rerank item-knn --set embedding_dim=4 epochs=2 --no-baselines"),
    "rerank refit": Case(
        "run bprmf events.csv --rerank hgn --set embedding_dim=4 epochs=2 --no-baselines --refit", every=4
    ),
    "fit": Case("fit hgn events.csv --set embedding_dim=4 epochs=2"),
    "blend": Case("blend models/hgn models/pop --data events.csv -o models/both", prepare=_MODELS),
    "blend over a blend": Case(
        "blend models/hgn models/pop --data events.csv -o models/both --monitor recall@10 --json result.json",
        prepare=(*_MODELS, "blend models/pop models/hgn --data events.csv -o models/both"),
    ),
    "recommend to Parquet": Case("recommend models/pop --all --out all.parquet --json counts.json", prepare=(_POP,)),
    "recommend to CSV": Case(
        "recommend models/pop --all --out all.csv -k 3", prepare=(_POP, "recommend models/pop --all --out all.csv")
    ),
    "explain": Case("explain models/pop --user u1 --html page.html", prepare=(_POP,)),
    "search": Case(f"{_SEARCH} --json result.json"),
    "search with more trials": Case(
        f"{_SEARCH.replace('trials 5', 'trials 8')} --json result.json", prepare=(f"{_SEARCH} --json result.json",)
    ),
    "compare": Case(_COMPARE),
    "compare with more trials": Case(_COMPARE.replace("trials 2", "trials 4"), prepare=(_COMPARE,)),
}
SPACE = "lr = { loguniform = [1e-3, 1e-1] }\nembedding_dim = [4, 8, 16]\n"


def write_inputs(folder: Path) -> None:
    """The files that the commands read: a log of 40 users and 16 items, and a search space."""
    log = synthetic.markov(40, 16, 8, seed=2, shortest=4)
    user, item = log.events()
    rows = (f"u{u},i{i},{1_600_000_000 + 100 * place}\n" for place, (u, i) in enumerate(zip(user, item, strict=True)))
    (folder / "events.csv").write_text("".join(["user,item,time\n", *rows]))
    (folder / "space.toml").write_text(SPACE)


def contents(folder: Path, *, hidden: bool = True) -> dict[str, Any]:
    """What every file below a folder holds, without times: equal after equal work, whether it was interrupted or not.

    Empty folders are listed too. Without `hidden`, what lies under a hidden name is left out.
    """
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not hidden and re.search(r"(^|/)\.", name):
            continue
        if path.is_dir():
            if not any(path.iterdir()):
                found[name] = "empty folder"
        else:
            found[name] = _content(path)
    return found


def _content(path: Path) -> Any:
    if path.suffix in UNCOMPARED:
        return "some"
    data = path.read_bytes()
    if path.suffix == ".json":
        return _without_times(json.loads(data))
    if path.suffix == ".jsonl":
        return [_without_times(json.loads(line)) for line in data.splitlines() if line.endswith(b"}")]
    if path.suffix == ".npz":
        with np.load(io.BytesIO(data)) as stored:
            arrays = {name: stored[name] for name in stored.files}
        facts = _without_times(json.loads(str(arrays.pop("facts"))))
        return {"facts": facts, **{name: (a.shape, a.tobytes()) for name, a in arrays.items()}}
    return data


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(entry) for key, entry in value.items() if key not in VOLATILE}
    return [_without_times(entry) for entry in value] if isinstance(value, list) else value
