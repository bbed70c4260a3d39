"""`segue similar`: the items that a saved model holds to be similar to an item."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from segue.cli.check_outputs import check_outputs, source_files
from segue.cli.options.candidates import FILTER_DEFAULTS, ItemFilterOptions
from segue.cli.output import JsonFile, show, write_json_output
from segue.cli.saved_models import ModelClasses, load_saved
from segue.errors import ConfigError
from segue.reporting.heatmap import decimals_of, format_score

if TYPE_CHECKING:
    from rich.text import Text

    from segue.reporting.tables import FittedTable
    from segue.serving.similar import SimilarItem


def similar(
    model: Path,
    *,
    item: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False, metavar="ITEM")] = (),
    k: Annotated[int, Parameter(name="-k")] = 10,
    filters: ItemFilterOptions = FILTER_DEFAULTS,
    model_class: ModelClasses = (),
    json: JsonFile = None,
) -> None:
    """Show the items that are most similar to an item, by the item vectors or the neighbour table of a model.

    Args:
        model: Folder of a saved model.
        item: Name of an item. Repeat the option for several items; their similarities are averaged.
        k: Number of items.
    """
    if not item:
        raise ConfigError("no item given: name one with --item ITEM")
    check_outputs({"--json": json}, inputs=[model, filters.allow, filters.deny, *source_files(*model_class)])
    saved = load_saved(model, model_class)
    from segue.serving.similar import similar_items

    neighbours = similar_items(saved, list(item), k, candidates=filters.filter(saved.log))
    titles = saved.log.titles(saved.log.items.ids(list(dict.fromkeys(item))))
    show(*similar_tables(neighbours, titles, saved.model.item_similarity))
    content = {"model": str(model), "items": list(item), "similarity": saved.model.item_similarity}
    write_json_output(json, {**content, "similar": [asdict(one) for one in neighbours]})


def similar_tables(neighbours: list[SimilarItem], titles: list[str], similarity: str) -> list[Text | FittedTable]:
    """The similar items as a heading and a table."""
    from rich.text import Text

    from segue.cli.recommendations_table import ranked_items

    names = " and ".join(titles)
    if not neighbours:
        return [Text(f"Nothing is similar to {names}: the model knows of no item that occurs together with it.")]
    decimals = decimals_of(one.similarity for one in neighbours)
    rows = [(str(one.item), one.title, format_score(one.similarity, decimals)) for one in neighbours]
    return [Text(f"Similar to {names}:"), ranked_items(rows, "similarity"), Text(f"Similarity: {similarity}.")]
