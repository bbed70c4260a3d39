"""The commands of `segue`, with their usage lines and examples."""

from __future__ import annotations

from cyclopts import App, Parameter

from segue.cli.blend import blend
from segue.cli.board import board
from segue.cli.compare import compare
from segue.cli.data import data
from segue.cli.demo import demo
from segue.cli.evaluate import evaluate
from segue.cli.explain import explain
from segue.cli.export import export
from segue.cli.fit import fit
from segue.cli.help import HelpFormatter
from segue.cli.models import models
from segue.cli.monitor import monitor
from segue.cli.numbers import convert
from segue.cli.recommend import recommend
from segue.cli.reproduce import reproduce
from segue.cli.retrain import retrain
from segue.cli.rules import rules
from segue.cli.run import run
from segue.cli.search import search
from segue.cli.serve import serve
from segue.cli.similar import similar
from segue.cli.store import store


def _version() -> str:
    from importlib.metadata import version

    return f"segue {version('segue')}"


app = App(
    name="segue",
    help="Train, evaluate and serve sequential recommenders on an interaction log.",
    help_epilogue="""Start with:
  segue demo                     data, training, evaluation and recommendation on MovieLens 100K
  segue data events.csv          show what your log looks like
  segue run hgn events.csv       train, evaluate and save a model
  segue compare events.csv       tune every model with the same budget, and see which to use
  segue models                   list the models and their settings
  segue COMMAND --help           show all options of a command""",
    version=_version,
    help_format="plaintext",
    help_formatter=HelpFormatter(),
    suppress_keyboard_interrupt=False,
    default_parameter=Parameter(converter=convert),
)
# In each usage the options come last, because --set and -k take all words up to the next option.
app.command(
    run,
    usage="Usage: segue run MODEL DATA [OPTIONS]",
    help_epilogue="""Examples:
  segue run hgn ml-100k
  segue run pop events.csv --user-col uid --item-col sku --time-col ts
  segue run hgn ratings.csv --min-rating 4 --set lr=0.01 --out models/mine
  segue run hgn ml-1m --protocol hgn --preset author --json result.json
  segue run mf ml-100k --rerank seq-knn --candidates 20
  segue run ./fmc.py:FMC ml-100k
  segue run sasrec events.csv --final
  segue run seq-knn orders.csv --protocol next-basket --gap 60
  segue run seq-knn events.csv --tie-range 10

`segue models MODEL` lists the settings for --set. The same command resumes an interrupted training.""",
)
app.command(
    fit,
    usage="Usage: segue fit MODEL DATA [OPTIONS]",
    help_epilogue="""Examples:
  segue fit item-knn events.csv
  segue fit hgn events.csv --set epochs=20
  segue fit hgn newer-events.csv --like models/hgn

`segue run MODEL DATA --final` measures the model first. The same command resumes an interrupted training.""",
)
app.command(
    search,
    usage="Usage: segue search MODEL DATA [OPTIONS]",
    help_epilogue="""Examples:
  segue search hgn ml-100k
  segue search hgn ml-100k --space hyper.test --trials 30 --minutes 20 --jobs 2
  segue search item-knn events.csv --set window=1 --out models/knn

The same command resumes an interrupted search, and joins a running one.""",
)
app.command(
    compare,
    usage="Usage: segue compare DATA [OPTIONS]",
    help_epilogue="""Examples:
  segue compare ml-100k
  segue compare events.csv --models pop,item-knn,hgn --trials 5 --minutes 10 --out compare/shop

The same command resumes an interrupted comparison; with more --trials it adds trials.""",
)
app.command(
    board,
    usage="Usage: segue board LOGS... [OPTIONS]",
    help_epilogue="""Examples:
  segue board ml-100k yoochoose-100k --models pop,item-knn,vs-knn --trials 5 --minutes-per-model 2
  segue board events.csv --protocol leave-one-out,global-time --models all --exclude hcrnn --out board/shop
  segue board ml-100k --lists theirs.parquet

The same command resumes an interrupted board; more --trials or --models are added to what is there.""",
)
app.command(
    blend,
    usage="Usage: segue blend MODEL MODEL --data DATA [OPTIONS]",
    help_epilogue="""Example:
  segue blend models/seq-knn models/hgn --data ml-100k --out models/blend""",
)
app.command(
    evaluate,
    usage="Usage: segue evaluate MODELS... --data DATA [OPTIONS]",
    help_epilogue="""Examples:
  segue evaluate models/hgn models/pop --data ml-100k -k 5 10 20
  segue evaluate models/hgn --data newer-events.csv

If DATA has events that are newer than the training of the models, these are the test.""",
)
app.command(
    recommend,
    usage="Usage: segue recommend MODEL (--user USER | --history ITEMS | --all | --users FILE) [OPTIONS]",
    help_epilogue="""Examples:
  segue recommend models/hgn --user 42
  segue recommend models/hgn --history "12,7,99" -k 5
  segue recommend models/hgn --item "AIRLINE LOUNGE,METAL SIGN" --item 22423
  segue recommend models/hgn --user 42 --where genres=Drama --deny sold-out.txt
  segue recommend models/hgn --all --out recommended.parquet
  segue recommend models/fmc --user 42 --model-class ./fmc.py:FMC""",
)
app.command(
    explain,
    usage="Usage: segue explain MODEL (--user USER [--item ITEM] | --history ITEMS) [OPTIONS]",
    help_epilogue="""Examples:
  segue explain models/narm --user 42
  segue explain models/item-knn --history "12,7,99" -k 3 --html explained.html
  segue explain models/iarn --user 42 --item 313 --html pair.html""",
)
app.command(
    similar,
    usage="Usage: segue similar MODEL --item ITEM [OPTIONS]",
    help_epilogue="""Examples:
  segue similar models/item-knn --item 50
  segue similar models/hgn --item 50 --item 172 -k 5""",
)
app.command(
    serve,
    usage="Usage: segue serve MODELS [OPTIONS]",
    help_epilogue="""Examples:
  segue serve models/hgn
  segue serve models --active hgn --store postgresql://segue@db/shop --port 8080

Then, from anywhere on this machine:
  curl -X POST localhost:8000/v1/events -H 'content-type: application/json' -d '{"user": "42", "item": "50"}'
  curl 'localhost:8000/v1/recommend?user=42&k=5'""",
)
app.command(rules)
app.command(store)
app.command(
    export,
    usage="Usage: segue export MODEL --out FOLDER [OPTIONS]",
    help_epilogue="""Example:
  segue export models/hgn --out export/hgn""",
)
app.command(
    monitor,
    usage="Usage: segue monitor [ADDRESS] [OPTIONS]",
    help_epilogue="""Examples:
  segue monitor
  segue monitor https://shop.example:8000 --once -k 20""",
)
app.command(
    retrain,
    usage="Usage: segue retrain MODEL --store STORE [OPTIONS]",
    help_epilogue="""Examples:
  segue retrain models/hgn
  segue retrain models/hgn --store postgresql://segue@db/shop --where event=purchase

The same command resumes an interrupted training.""",
)
app.command(
    models,
    usage="Usage: segue models [MODEL] [OPTIONS]",
    help_epilogue="""Examples:
  segue models
  segue models hgn
  segue models models/hgn
  segue models hgn --json hgn-settings.json""",
)
app.command(
    data,
    usage="Usage: segue data DATA [OPTIONS]",
    help_epilogue="""Examples:
  segue data ml-100k
  segue data events.csv.gz --time-col ts --items titles.csv --out logs/events""",
)
app.command(demo, usage="Usage: segue demo [OPTIONS]", help_epilogue="")
app.command(
    reproduce,
    usage="Usage: segue reproduce TABLE [OPTIONS]",
    help_epilogue="""Example:
  segue reproduce hgn-table3 --quick""",
)
