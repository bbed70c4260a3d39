"""Options with a new name: the earlier name ends with exit code 2 and a message that gives the new one."""

from __future__ import annotations

import pytest

from segue.cli import app
from segue.cli.renamed import RENAMED_OPTIONS

EARLIER = {
    "--every": ("run", "search", "compare"),
    "--rivals": ("run", "search"),
    "--no-rivals": ("run", "search"),
    "--ahead": ("run",),
    "--min-audience": ("run", "search", "compare", "evaluate"),
}


@pytest.mark.parametrize(
    ("command", "option", "name"),
    [
        ("run pop events.csv --every 2", "--every", "--eval-every"),
        ("search pop events.csv --every=2", "--every", "--eval-every"),
        ("compare events.csv --every 2", "--every", "--eval-every"),
        ("run pop events.csv --rivals", "--rivals", "--baselines"),
        ("search pop events.csv --no-rivals", "--no-rivals", "--no-baselines"),
        ("run pop --ahead 3 events.csv", "--ahead", "--horizon"),
        ("run mf events.csv --min-audience 3", "--min-audience", "--min-item-history"),
    ],
)
def test_an_earlier_name_of_an_option_gives_the_new_one(segue, here, command, option, name):
    code, out, err = segue(command)
    assert (code, out) == (2, "")
    assert err == f"segue: {option} is now called {name}. See segue {command.split()[0]} --help\n"


def test_every_new_name_is_an_option_of_the_commands_that_had_the_earlier_one():
    assert RENAMED_OPTIONS.keys() == EARLIER.keys()
    for earlier, commands in EARLIER.items():
        for command in commands:
            options = {name for argument in app[command].assemble_argument_collection() for name in argument.names}
            assert RENAMED_OPTIONS[earlier] in options
            assert earlier not in options


def test_an_earlier_name_of_a_setting_gives_the_new_one(segue, here):
    code, _, err = segue("run hgn events.csv --set dim=3")
    assert code == 2
    assert "unknown setting 'dim': it is now called 'embedding_dim'" in err
