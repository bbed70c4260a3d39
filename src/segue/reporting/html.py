"""`write_page`: one HTML page with text, tables, charts and heat maps. It needs no network."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from segue.errors import DataError
from segue.io import reason, write_text
from segue.reporting.chart_files import render
from segue.reporting.charts import plain_rows
from segue.reporting.numbers import cell_text

if TYPE_CHECKING:
    from segue.reporting.charts import Chart, Rows

    class HTMLPart(Protocol):
        """An object with its own HTML, such as a `Heatmap`."""

        def as_html(self) -> str: ...

    PagePart = str | Rows | Chart | HTMLPart

MANY_COLUMNS, TOO_MANY_COLUMNS, LONG_NAME = 7, 11, 30
# a table of rows that the screen cannot hold is turned: one block a row, one line a cell, named by its column
_TURNED = """
  TABLE, TABLE tbody, TABLE tr, TABLE td { display: block; border: 0; padding: 0; }
  TABLE tr:first-child, TABLE td:empty { display: none; }
  TABLE tr { border-bottom: 1px solid #ddd; padding: .4em 0; }
  TABLE td { display: flex; justify-content: space-between; gap: 1em; text-align: right; }
  TABLE td::before { content: attr(data-name); color: #666; text-align: left; font-weight: 400; white-space: nowrap; }
  TABLE td:first-child { font-size: 1.1em; white-space: normal; }
"""
PAGE_STYLE = f"""
body {{ font: 16px/1.5 sans-serif; color: #222; max-width: 75em; margin: 2em auto; padding: 0 1em; }}
p {{ overflow-wrap: anywhere; max-width: 60em; }}
h1, h2 {{ line-height: 1.2; overflow-wrap: anywhere; }} h2 {{ margin-top: 2em; }}
table {{ border-collapse: collapse; font-size: .9em; margin: 1em 0; }}
th, td {{ padding: .25em .6em; text-align: left; border-bottom: 1px solid #ddd; vertical-align: top; }}
th {{ border-bottom: 1px solid #777; }} td {{ white-space: pre-line; }}
.number {{ text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }}
.rows td:first-child {{ font-weight: 600; }} .name {{ white-space: pre; }}
img {{ max-width: 100%; height: auto; margin: .5em 1em .5em 0; }}
.wide {{ overflow-x: auto; }}
{_TURNED.replace("TABLE", "table.too-many")}
@media (max-width: 75em) {{{_TURNED.replace("TABLE", "table.many")}}}
@media (max-width: 36em) {{{_TURNED.replace("TABLE", "table.rows")}}}
"""


def write_page(title: str, sections: Iterable[tuple[str, Iterable[PagePart]]], path: str | Path) -> Path:
    """Write an HTML page, atomically, in one file.

    Args:
        title: title of the page.
        sections: pairs of a heading and its parts, in order. Text becomes a paragraph; rows (a polars frame or a list
            of dicts) become a table; a chart becomes a picture; an object with `as_html` writes its own HTML.
        path: the file.

    Returns:
        The path.

    Raises:
        ConfigError: there is a chart and altair is not installed.
        DataError: a chart cannot be drawn, or the file cannot be written.
    """
    path, contents = Path(path), [(heading, list(parts)) for heading, parts in sections]
    charts: list[Any] = [part for _, parts in contents for part in parts if _is_chart(part)]
    pictures = iter(render(charts, "svg"))
    lines = ["<!DOCTYPE html>", '<html lang="en">', "<head>", '<meta charset="utf-8">']
    lines += ['<meta name="viewport" content="width=device-width">', f"<title>{html.escape(title)}</title>"]
    lines += [f"<style>{PAGE_STYLE}</style>", "</head>", "<body>", f"<h1>{html.escape(title)}</h1>"]
    for heading, parts in contents:
        lines.append(f"<h2>{html.escape(heading)}</h2>")
        lines.extend(_part_html(part, pictures) for part in parts)
    try:
        write_text(path, "\n".join([*lines, "</body>", "</html>", ""]))
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {reason(error)}") from error
    return path


def _is_chart(part: Any) -> bool:
    return not isinstance(part, Sequence) and not hasattr(part, "as_html") and not hasattr(part, "to_dicts")


def _part_html(part: Any, pictures: Iterator[bytes]) -> str:
    """The HTML of one part; a chart takes the next of the pictures."""
    if isinstance(part, str):
        return f"<p>{html.escape(part)}</p>"
    if hasattr(part, "as_html"):
        return f'<div class="wide">{part.as_html()}</div>'
    if not _is_chart(part):
        return _table_html(plain_rows(part))
    name = getattr(part, "title", "")
    alt_text = html.escape(name if isinstance(name, str) else "chart", quote=True)
    return f'<img alt="{alt_text}" src="data:image/svg+xml;base64,{base64.b64encode(next(pictures)).decode()}">'


def _table_html(rows: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    lines = ["".join(_cell_html(column, row.get(column)) for column in columns) for row in rows]
    kind = "rows many" if len(columns) > MANY_COLUMNS else "rows"
    kind += " too-many" * (len(columns) > TOO_MANY_COLUMNS)
    return "\n".join(
        [
            f'<div class="wide"><table class="{kind}">',
            f"<tr>{head}</tr>",
            *(f"<tr>{line}</tr>" for line in lines),
            "</table></div>",
        ]
    )


def _cell_html(column: str, value: Any) -> str:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    text = "" if value is None else html.escape(cell_text(column, value))
    kind = ' class="number"' if is_number else "" if len(text) > LONG_NAME else ' class="name"'
    return f'<td data-name="{html.escape(column, quote=True)}"{kind}>{text}</td>'
