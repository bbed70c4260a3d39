"""`segue reproduce`: a paper's table again, ours beside the printed figures."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from segue.cli.options import JsonFile, check_json, show, write_json


def reproduce(
    table: str, *, quick: Annotated[bool, Parameter(negative=(), show_default=False)] = False, json: JsonFile = None
) -> None:
    """Recompute a published table and print ours beside it.

    Parameters
    ----------
    table
        hgn-cds: HGN and BPR-MF on Amazon CDs, Table 3 of the HGN paper.
    quick
        A small honest version: one seed and few epochs. It says so.
    """
    from segue.recipes import find

    recipe = find(table)
    check_json(json)
    found = recipe(quick=quick)
    show(found.table())
    write_json(json, found.as_dict())
