"""The command line: `segue run`, `evaluate`, `recommend`, `explain`, `search`, `compare`, `blend`, `data`, `demo`, ...

Bad input prints one message on stderr and exits with code 2; nothing half-written is left.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from importlib.metadata import version

from cyclopts import App, CycloptsError, MissingArgumentError, UnknownOptionError, UnusedCliTokensError

from segue.cli.blend import blend
from segue.cli.compare import compare
from segue.cli.demo import demo
from segue.cli.evaluate import evaluate
from segue.cli.explain import explain
from segue.cli.inspect import data
from segue.cli.recommend import recommend
from segue.cli.reproduce import reproduce
from segue.cli.run import run
from segue.cli.search import search
from segue.errors import SegueError
from segue.reporting.console import stderr

app = App(
    name="segue",
    help="What comes next: sequential recommendation from a log of events, measured honestly.",
    help_epilogue="""Start with:
  segue demo                     the whole path on MovieLens 100K
  segue data events.csv          what your own log looks like
  segue run hgn events.csv       a trained, measured and saved model of it
  segue compare events.csv       every model tuned alike, and which to take
  segue COMMAND --help           all that a command can do""",
    version=lambda: f"segue {version('segue')}",
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)
# In each usage the options come last, because --set and -k take all that follows up to the next option.
app.command(
    run,
    usage="Usage: segue run MODEL DATA [OPTIONS]",
    help_epilogue="""Examples:
  segue run hgn ml-100k
  segue run pop events.csv --user-col uid --item-col sku --time-col ts
  segue run hgn ratings.csv --min-rating 4 --user-core 10 --set embedding_dim=64 lr=0.01 --out models/mine
  segue run hgn ml-1m --protocol hgn --preset author --json result.json
  segue run mf ml-100k --rerank seq-knn --candidates 20

An unknown name in --set lists the settings of the model. An interrupted training goes on with the same command.""",
)
app.command(
    search,
    usage="Usage: segue search MODEL DATA [OPTIONS]",
    help_epilogue="""Examples:
  segue search hgn ml-100k
  segue search hgn ml-100k --space hyper.test --trials 30 --minutes 20 --jobs 2
  segue search item-knn events.csv --set last=1 --out models/knn

The same command goes on where it was interrupted, and joins where it is under way.""",
)
app.command(
    compare,
    usage="Usage: segue compare DATA [OPTIONS]",
    help_epilogue="""Examples:
  segue compare ml-100k
  segue compare events.csv --models pop,item-knn,hgn --trials 5 --minutes 10 --out compare/shop

The same command goes on where it was interrupted; with more --trials it tries more.""",
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
    help_epilogue="""Example:
  segue evaluate models/hgn models/pop --data ml-100k -k 5 10 20""",
)
app.command(
    recommend,
    usage="Usage: segue recommend MODEL (--user USER | --history ITEMS) [OPTIONS]",
    help_epilogue="""Examples:
  segue recommend models/hgn --user 42
  segue recommend models/hgn --history "12,7,99" -k 5""",
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


MEMORY = "allocate|(out of|not enough) memory|calculation overflowed"  # of numpy, torch and its devices


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line and exit: 0, or 2 for input that cannot be used, or 130 when interrupted."""
    sys.exit(status(sys.argv[1:] if arguments is None else arguments))


def status(arguments: Sequence[str]) -> int:
    """Run a command line; the exit code."""
    try:
        app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except SegueError as error:
        return _complain(str(error))
    except CycloptsError as error:
        return _complain(_explained(error))
    except (BrokenPipeError, SystemExit):  # the reader of a pipe has seen enough; rich leaves by SystemExit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (MemoryError, RuntimeError) as error:
        if not re.search(MEMORY, str(error)):
            raise
        reason = str(error).partition("\n")[0]
        return _complain(f"not enough memory ({reason}); take smaller settings or a smaller log")
    except OSError as error:
        return _complain(f"{error.filename or 'writing failed'}: {error.strerror or error}")
    except KeyboardInterrupt:
        again = (
            "; the same command goes on from there"
            if {*arguments[:1]} & {"run", "search", "compare", "reproduce"}
            else ""
        )
        return _complain(f"interrupted{again}", code=130)
    return 0


def _explained(error: CycloptsError) -> str:
    """What is wrong with a command line, and where to read what is right."""
    what = str(error).strip() or type(error).__name__
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        if error.keyword is None:
            usage = (error.app and error.app.usage) or ""
            return f"{error.argument.name.lstrip('-').upper()} is missing. {usage}"
        what = f"{error.keyword} needs a value."
    elif isinstance(error, UnusedCliTokensError):
        what = f"{' '.join(error.unused_tokens or ())!r} is too much."
    elif isinstance(error, UnknownOptionError) and error.command_chain == ("run",):
        what += " Settings of the model go after --set, such as --set epochs=20."
    return f"{what} See {' '.join(['segue', *(error.command_chain or ())])} --help"


def _complain(message: str, code: int = 2) -> int:
    stderr().print(f"segue: {message}", markup=False, soft_wrap=True)
    return code
