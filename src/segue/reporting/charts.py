"""Pictures: `line_chart`, `bar_chart`, `scatter_chart` and `heat_chart` of rows, in one style, and a page of them.

    rows                                        line_chart(rows, x="k", y="recall@k", by="model")
    k   recall@k   model
    5      .026    hgn                          recall@k |          ___.
    10     .045    hgn             ->                    |    __.--' . ' hgn
    5      .033    item-knn                              | .-'_ .  '     item-knn
    ...                                                  +------------- k

A column's name is what its axis says; lines and bars keep the order of the rows. `write` makes SVG, PNG or HTML of a
chart and `page` one HTML page of several, with words and tables. Both can be read with no network. Needs the extra
`viz`.
"""

from __future__ import annotations

import base64
import html
import math
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from segue.errors import ConfigError, DataError, did_you_mean
from segue.io import write_bytes

if TYPE_CHECKING:
    import altair
    import polars as pl

    Chart = altair.Chart | altair.LayerChart
    Rows = pl.DataFrame | Sequence[Mapping[str, Any]]

    class Written(Protocol):
        """Whatever writes itself as HTML."""

        def as_html(self) -> str: ...

    Part = str | Rows | Chart | Written

WIDTH, HEIGHT, STEP = 420, 280, 22
TICKS = 10  # at most, where every number has one
SHADE, DARKEST = "share of the column", 0.75  # so that dark letters stay readable
# told apart by most eyes with a colour deficiency, Okabe and Ito 2008; darker where the original is too pale for lines
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000", "#8c564b", "#6a51a3"]
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"]
STYLE: dict[str, Any] = {
    "background": "white",
    "font": "sans-serif",
    "view": {"stroke": None},
    "title": {"anchor": "start", "fontSize": 14, "fontWeight": 600, "offset": 12},
    "axis": {"gridColor": "#e6e6e6", "domainColor": "#999", "tickColor": "#999", "labelFontSize": 11},
    "axisX": {"titlePadding": 8, "labelFlush": False},
    "legend": {"title": None, "labelFontSize": 11, "labelLimit": 240, "symbolStrokeWidth": 2, "symbolOpacity": 1},
    "range": {"category": COLOURS, "symbol": SHAPES},
    "line": {"strokeWidth": 2},
    "point": {"filled": True, "size": 45, "opacity": 1},
    "mark": {"tooltip": {"content": "data"}},
}
PAGE_STYLE = """
body { font: 16px/1.5 sans-serif; color: #222; max-width: 60em; margin: 2em auto; padding: 0 1em; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2em; }
table { border-collapse: collapse; font-size: .9em; margin: 1em 0; }
th, td { padding: .25em .8em; text-align: left; border-bottom: 1px solid #ddd; }
th { border-bottom: 1px solid #777; } .number { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; margin: .5em 1em .5em 0; }
"""


def line_chart(
    rows: Rows, *, x: str, y: str, by: str = "", between: tuple[str, str] | None = None, title: str = "", log: str = ""
) -> Chart:
    """Lines with their points: how `y` changes with the number `x`.

    Args:
        rows: a polars frame, or a list of dicts.
        x: column from left to right.
        y: column from bottom to top.
        by: column that says which line a row belongs to; "" for one line.
        between: columns of a lower and an upper end, drawn as a band.
        title: what is written above.
        log: the axes with a logarithmic scale: "x", "y" or "xy".

    Raises:
        ConfigError: altair is not installed; no rows; unknown column.
    """
    alt, data = _altair(), _data(rows, x, y, by, *(between or ()))
    places = {"x": _number(alt.X, x, log="x" in log, ticks=_few(data, x)), "y": _number(alt.Y, y, log="y" in log)}
    colour = _told_apart(data, by)
    layers = [_chart(data).mark_line(point=True).encode(**places, **colour, **_told_apart(data, by, "shape"))]
    if between:
        ends = {"y": _number(alt.Y, between[0], title=y, log="y" in log), "y2": alt.Y2(_field(between[1]))}
        layers.insert(0, _chart(data).mark_area(opacity=0.15).encode(x=places["x"], **ends, **colour))
    return _layered(layers, title, HEIGHT)


def bar_chart(
    rows: Rows, *, x: str, y: str, by: str = "", between: tuple[str, str] | None = None, title: str = ""
) -> Chart:
    """Bars from the left: how long `x` is for each `y`, in the order of the rows.

    Args:
        rows: a polars frame, or a list of dicts.
        x: column of lengths.
        y: column of the names of bars.
        by: column that tells apart several bars of one name; "" for one each.
        between: columns of a lower and an upper end, drawn as a line across the end of the bar.
        title: what is written above.

    Raises:
        ConfigError: altair is not installed; no rows; unknown column.
    """
    alt, data = _altair(), _data(rows, x, y, by, *(between or ()))
    names = _name(alt.Y, data, y, axis=alt.Axis(title=None, labelLimit=300, ticks=False, domain=False))
    places = {"y": names, **({"yOffset": _name(alt.YOffset, data, by)} if by else {})}
    layers = [_chart(data).mark_bar().encode(x=_number(alt.X, x, zero=True), **places, **_told_apart(data, by))]
    if between:
        ends = {"x": _number(alt.X, between[0], title=x, zero=True), "x2": alt.X2(_field(between[1]))}
        layers.append(_chart(data).mark_rule(strokeWidth=1.5).encode(**places, **ends))
    return _layered(layers, title, {"step": STEP if not by else STEP // 2, "for": "offset" if by else "position"})


def scatter_chart(
    rows: Rows, *, x: str, y: str, by: str = "", label: str = "", title: str = "", log: str = ""
) -> Chart:
    """Points: where each row stands between `x` and `y`.

    Args:
        rows: a polars frame, or a list of dicts.
        x: column from left to right.
        y: column from bottom to top.
        by: column that the points are coloured by; "" for none.
        label: column of what is written beside each point; "" for nothing.
        title: what is written above.
        log: the axes with a logarithmic scale: "x", "y" or "xy".

    Raises:
        ConfigError: altair is not installed; no rows; unknown column.
    """
    alt, data = _altair(), _data(rows, x, y, by, label)
    places = {"x": _number(alt.X, x, log="x" in log), "y": _number(alt.Y, y, log="y" in log)}
    layers = [_chart(data).mark_point().encode(**places, **_told_apart(data, by), **_told_apart(data, by, "shape"))]
    if label:
        words = _chart(data).mark_text(align="left", dx=8, fontSize=11)
        layers.append(words.encode(**places, text=alt.Text(field=_field(label), type="nominal")))
    return _layered(layers, title, HEIGHT)


def heat_chart(rows: Rows, *, x: str, y: str, value: str, title: str = "") -> Chart:
    """Cells with numbers: the larger one is in its column, the darker its cell. Both names keep the order of the rows.

    Args:
        rows: a polars frame, or a list of dicts; one a cell.
        x: column of the names from left to right; each has a scale of its own.
        y: column of the names from top to bottom.
        value: column of the numbers; where it holds none the cell stays empty.
        title: what is written above.

    Raises:
        ConfigError: altair is not installed; no rows; unknown column.
    """
    alt, data = _altair(), _data(rows, x, y, value)
    plain = {"title": None, "ticks": False, "domain": False}
    across = _name(alt.X, data, x, axis=alt.Axis(**plain, orient="top", labelAngle=-30, labelLimit=200))
    places = {"x": across, "y": _name(alt.Y, data, y, axis=alt.Axis(**plain, labelLimit=520))}
    chart = _chart(_shaded(data, x, value))
    dark = alt.Scale(domain=[0, 1], range=[0, DARKEST])
    shade = alt.Opacity(field=SHADE, type="quantitative", legend=None, scale=dark)
    words = alt.Text(field=_field(value), type="quantitative", format=".3r")
    layers = [
        chart.mark_rect(color=COLOURS[0]).encode(**places, opacity=shade),
        chart.mark_text(fontSize=11).encode(**places, text=words),
    ]
    return _layered(layers, title, {"step": STEP}).properties(width={"step": 2.75 * STEP})


def write(chart: Chart, path: str | Path) -> Path:
    """The chart as a file: SVG, PNG or HTML, as the end of its name says; whole or not at all.

    Raises:
        ConfigError: another ending.
        DataError: the file cannot be written.
    """
    path = Path(path)
    kind = path.suffix.lower().lstrip(".")
    if kind not in ("svg", "png", "html"):
        raise ConfigError(f"{path}: a chart is written as .svg, .png or .html; choose one of these endings")
    return _replace(path, _drawn(chart, kind))


def page(title: str, sections: Iterable[tuple[str, Iterable[Part]]], path: str | Path) -> Path:
    """One HTML page, all in one file: under each heading words, tables and charts in the order given.

    Args:
        title: of the page.
        sections: pairs of a heading and its parts; text is a paragraph, rows (a polars frame or a list of dicts) a
            table, a chart a picture, and what has `as_html` writes itself.
        path: where to write it.

    Raises:
        ConfigError: altair is not installed, and there is a chart.
        DataError: the file cannot be written.
    """
    lines = ["<!DOCTYPE html>", '<html lang="en">', "<head>", '<meta charset="utf-8">']
    lines += ['<meta name="viewport" content="width=device-width">', f"<title>{html.escape(title)}</title>"]
    lines += [f"<style>{PAGE_STYLE}</style>", "</head>", "<body>", f"<h1>{html.escape(title)}</h1>"]
    for heading, parts in sections:
        lines.append(f"<h2>{html.escape(heading)}</h2>")
        lines.extend(_part(part) for part in parts)
    return _replace(Path(path), "\n".join([*lines, "</body>", "</html>", ""]).encode())


def _altair() -> Any:
    try:
        import altair
        import vl_convert  # noqa: F401
    except ImportError as error:
        raise ConfigError(f'charts need {error.name}, which is not installed: pip install "segue[viz]"') from error
    return altair


def _data(rows: Rows, *columns: str) -> list[dict[str, Any]]:
    """Rows as JSON can hold them: what is not a number is None. Every named column has to be there."""
    listed = rows if isinstance(rows, Sequence) else rows.to_dicts()
    if not listed:
        raise ConfigError("no rows to draw")
    for number, row in enumerate(listed):
        for column in columns:
            if column and column not in row:
                near = did_you_mean(column, row)
                raise ConfigError(f"row {number} has no column {column!r}{near}; it has: {', '.join(row)}")
    return [{key: _plain(value) for key, value in row.items()} for row in listed]


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _chart(data: list[dict[str, Any]]) -> Any:
    alt = _altair()
    return alt.Chart(alt.Data(values=data))


def _layered(layers: list[Any], title: str, height: Any) -> Chart:
    chart = layers[0] if len(layers) == 1 else _altair().layer(*layers)
    return chart.properties(width=WIDTH, height=height, **({"title": title} if title else {}))


def _field(name: str) -> str:
    """A column's name where dots and brackets would be read as a path into nested data."""
    return re.sub(r"([.\[\]\\])", r"\\\1", name)


def _number(
    channel: Any, column: str, *, title: str = "", log: bool = False, zero: bool = False, ticks: Sequence[int] = ()
) -> Any:
    alt = _altair()
    scale = alt.Scale(**({"type": "log"} if log else {"zero": zero}))
    axis = {"axis": alt.Axis(values=list(ticks), format=",d")} if ticks else {}
    return channel(field=_field(column), type="quantitative", title=title or column, scale=scale, **axis)


def _few(data: list[dict[str, Any]], column: str) -> list[int]:
    """The numbers of a column of few and whole ones, which are ticks of their own; else none."""
    found = sorted({row[column] for row in data if isinstance(row[column], int)})
    return found if len(found) <= TICKS and all(isinstance(row[column], int) for row in data) else []


def _name(channel: Any, data: list[dict[str, Any]], column: str, **options: Any) -> Any:
    return channel(field=_field(column), type="nominal", sort=_order(data, column), **options)


def _order(data: list[dict[str, Any]], column: str) -> list[Any]:
    return list(dict.fromkeys(row[column] for row in data))


def _shaded(data: list[dict[str, Any]], column: str, value: str) -> list[dict[str, Any]]:
    """The rows with a number, and how far it lies from the least to the most of its column: 0 to 1."""
    rows = [row for row in data if row[value] is not None]
    numbers = {name: [row[value] for row in rows if row[column] == name] for name in _order(rows, column)}
    ends = {name: (min(found), max(found)) for name, found in numbers.items()}
    return [{**row, SHADE: _share(row[value], *ends[row[column]])} for row in rows]


def _share(value: float, least: float, most: float) -> float:
    return (value - least) / (most - least) if most > least else 0.0


def _told_apart(data: list[dict[str, Any]], by: str, channel: str = "color") -> dict[str, Any]:
    """Colour or shape by a column, in the order of its first appearances; one colour without a column."""
    alt = _altair()
    if not by:
        return {"color": alt.value(COLOURS[0])} if channel == "color" else {}
    values, looks = _order(data, by), COLOURS if channel == "color" else SHAPES
    scale = alt.Scale(domain=values, range=[looks[place % len(looks)] for place in range(len(values))])
    kind = alt.Color if channel == "color" else alt.Shape
    return {channel: kind(field=_field(by), type="nominal", scale=scale)}


def _drawn(chart: Chart, kind: str) -> bytes:
    """The chart in the style of the house."""
    _altair()
    styled: Any = chart.copy()
    styled["config"] = STYLE
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chart"
        options: dict[str, dict[str, Any]] = {
            "html": {"inline": True, "embed_options": {"actions": False}},
            "png": {"scale_factor": 2},
        }
        styled.save(str(path), format=kind, **options.get(kind, {}))
        return path.read_bytes()


def _part(part: Any) -> str:
    if isinstance(part, str):
        return f"<p>{html.escape(part)}</p>"
    if hasattr(part, "as_html"):
        return str(part.as_html())
    if isinstance(part, Sequence) or hasattr(part, "to_dicts"):
        return _table(_data(part))
    name = getattr(part, "title", "")
    words = html.escape(name if isinstance(name, str) else "chart", quote=True)
    return f'<img alt="{words}" src="data:image/svg+xml;base64,{base64.b64encode(_drawn(part, "svg")).decode()}">'


def _table(rows: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    lines = ["".join(_cell(row.get(column)) for column in columns) for row in rows]
    return "\n".join(["<table>", f"<tr>{head}</tr>", *(f"<tr>{line}</tr>" for line in lines), "</table>"])


def _cell(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return f"<td>{'' if value is None else html.escape(str(value))}</td>"
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.4f}" if abs(value) < 10 else f"{value:,.1f}"
    return f'<td class="number">{text}</td>'


def _replace(path: Path, content: bytes) -> Path:
    try:
        write_bytes(path, content)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path
