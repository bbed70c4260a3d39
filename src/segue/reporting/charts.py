"""Line, bar, scatter and heat-map charts of rows of data, in one style.

    rows                                        line_chart(rows, x="k", y="recall@k", by="model")
    k   recall@k   model
    5      .026    hgn                          recall@k |          ___.
    10     .045    hgn             ->                    |    __.--' . ' hgn
    5      .033    item-knn                              | .-'_ .  '     item-knn
    ...                                                  +------------- k

The name of a column is the title of its axis. Lines, bars and cells keep the order of the rows. Charts are made with
Altair, of the extra `viz`. `segue.reporting.chart_files` writes them to files.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from segue.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    import altair
    import polars as pl

    Chart = altair.Chart | altair.LayerChart
    Rows = pl.DataFrame | Sequence[Mapping[str, Any]]

WIDTH, HEIGHT, STEP = 420, 280, 22
LABEL_SIZE, LABEL_WIDTH = 11, 80  # of the text beside a point, in pixels
MAX_TICKS = 10  # up to so many whole numbers on the x axis, each has a tick
OPACITY, MAX_OPACITY = "relative value", 0.75  # below 1, so that dark text stays readable
# distinguishable with most colour vision deficiencies: Okabe and Ito 2008; darker where a colour is too pale for lines
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


def line_chart(
    rows: Rows, *, x: str, y: str, by: str = "", between: tuple[str, str] | None = None, title: str = "", log: str = ""
) -> Chart:
    """A chart of lines with points: `y` as a function of the number `x`.

    Args:
        rows: a polars frame, or a list of dicts.
        x: column of the horizontal axis.
        y: column of the vertical axis.
        by: column with the name of the line; "" for one line.
        between: columns of a lower and an upper bound, drawn as a band.
        title: title of the chart.
        log: axes with a logarithmic scale: "x", "y" or "xy".

    Raises:
        ConfigError: altair is not installed, there are no rows, or a column is unknown.
    """
    alt, data = import_altair(), plain_rows(rows, x, y, by, *(between or ()))
    axes = {"x": _number(alt.X, x, log="x" in log, ticks=_whole_ticks(data, x)), "y": _number(alt.Y, y, log="y" in log)}
    colour = _distinguish(data, by)
    layers = [_chart(data).mark_line(point=True).encode(**axes, **colour, **_distinguish(data, by, "shape"))]
    if between:
        bounds = {"y": _number(alt.Y, between[0], title=y, log="y" in log), "y2": alt.Y2(_field(between[1]))}
        layers.insert(0, _chart(data).mark_area(opacity=0.15).encode(x=axes["x"], **bounds, **colour))
    return _layered(layers, title, HEIGHT)


def bar_chart(
    rows: Rows, *, x: str, y: str, by: str = "", between: tuple[str, str] | None = None, title: str = ""
) -> Chart:
    """A chart of horizontal bars: the length `x` of each `y`, in the order of the rows.

    Args:
        rows: a polars frame, or a list of dicts.
        x: column of the lengths.
        y: column of the names of the bars.
        by: column that distinguishes several bars with one name; "" for one bar per name.
        between: columns of a lower and an upper bound, drawn as a line across the end of the bar.
        title: title of the chart.

    Raises:
        ConfigError: altair is not installed, there are no rows, or a column is unknown.
    """
    alt, data = import_altair(), plain_rows(rows, x, y, by, *(between or ()))
    names = _name(alt.Y, data, y, axis=alt.Axis(title=None, labelLimit=300, ticks=False, domain=False))
    axes = {"y": names, **({"yOffset": _name(alt.YOffset, data, by)} if by else {})}
    layers = [_chart(data).mark_bar().encode(x=_number(alt.X, x, zero=True), **axes, **_distinguish(data, by))]
    if between:
        bounds = {"x": _number(alt.X, between[0], title=x, zero=True), "x2": alt.X2(_field(between[1]))}
        layers.append(_chart(data).mark_rule(strokeWidth=1.5).encode(**axes, **bounds))
    return _layered(layers, title, {"step": STEP if not by else STEP // 2, "for": "offset" if by else "position"})


def scatter_chart(
    rows: Rows,
    *,
    x: str,
    y: str,
    by: str = "",
    label: str = "",
    between: tuple[str, str] | None = None,
    title: str = "",
    log: str = "",
) -> Chart:
    """A chart of points: one row, one point.

    Args:
        rows: a polars frame, or a list of dicts.
        x: column of the horizontal axis.
        y: column of the vertical axis.
        by: column that decides the colour and the shape; "" for one colour.
        label: column of the text beside each point; "" for none.
        between: columns of a lower and an upper bound, drawn as a line through the point.
        title: title of the chart.
        log: axes with a logarithmic scale: "x", "y" or "xy".

    Raises:
        ConfigError: altair is not installed, there are no rows, or a column is unknown.
    """
    alt, data = import_altair(), plain_rows(rows, x, y, by, label, *(between or ()))
    axes = {"x": _number(alt.X, x, log="x" in log), "y": _number(alt.Y, y, log="y" in log)}
    layers = [_chart(data).mark_point().encode(**axes, **_distinguish(data, by), **_distinguish(data, by, "shape"))]
    if between:
        bounds = {"y": _number(alt.Y, between[0], title=y, log="y" in log), "y2": alt.Y2(_field(between[1]))}
        layers.insert(0, _chart(data).mark_rule(opacity=0.4).encode(x=axes["x"], **bounds, **_distinguish(data, by)))
    if label:
        for dy, rows_of_layer in _label_rows(data, x, y, log).items():
            text = _chart(rows_of_layer).mark_text(align="left", dx=8, dy=dy, fontSize=LABEL_SIZE)
            layers.append(text.encode(**axes, text=alt.Text(field=_field(label), type="nominal")))
    return _layered(layers, title, HEIGHT)


def _label_rows(data: list[dict[str, Any]], x: str, y: str, log: str) -> dict[int, list[dict[str, Any]]]:
    """The rows by the shift of their labels in pixels: labels that would cover each other are moved up or down."""
    across, up = _pixels(data, x, WIDTH, log="x" in log), _pixels(data, y, HEIGHT, log="y" in log)
    placed: list[tuple[float, float]] = []
    shifted: dict[int, list[dict[str, Any]]] = {}
    steps = [sign * step * (LABEL_SIZE + 1) for step in range(len(data) + 1) for sign in (1, -1)]
    for row, left, height in sorted(zip(data, across, up, strict=True), key=lambda point: -point[2]):
        free = (
            dy
            for dy in steps
            if height - dy >= 0  # not on the axis
            and all(abs(left - other) > LABEL_WIDTH or abs(height - dy - line) > LABEL_SIZE for other, line in placed)
        )
        dy = next(free)
        placed.append((left, height - dy))
        shifted.setdefault(dy, []).append(row)
    return shifted


def _pixels(data: list[dict[str, Any]], column: str, size: int, *, log: bool) -> list[float]:
    """About where the values of a column stand on an axis, in pixels; 0 for a missing value."""
    values = [row[column] or 0.0 for row in data]
    scaled = [math.log(max(value, 1e-12)) if log else value for value in values]
    low, high = min(scaled), max(scaled)
    return [size * (value - low) / (high - low) if high > low else 0.0 for value in scaled]


def heatmap_chart(rows: Rows, *, x: str, y: str, value: str, title: str = "") -> Chart:
    """A chart of cells with numbers: the larger a number within its column, the darker its cell.

    Args:
        rows: a polars frame, or a list of dicts; one row per cell.
        x: column of the names of the columns. Each column has its own scale.
        y: column of the names of the rows.
        value: column of the numbers; a cell without a number stays empty.
        title: title of the chart.

    Raises:
        ConfigError: altair is not installed, there are no rows, or a column is unknown.
    """
    alt, data = import_altair(), plain_rows(rows, x, y, value)
    plain = {"title": None, "ticks": False, "domain": False}
    x_axis = _name(alt.X, data, x, axis=alt.Axis(**plain, orient="top", labelAngle=-30, labelLimit=200))
    axes = {"x": x_axis, "y": _name(alt.Y, data, y, axis=alt.Axis(**plain, labelLimit=520))}
    chart = _chart(_with_opacity(data, x, value))
    scale = alt.Scale(domain=[0, 1], range=[0, MAX_OPACITY])
    opacity = alt.Opacity(field=OPACITY, type="quantitative", legend=None, scale=scale)
    text = alt.Text(field=_field(value), type="quantitative", format=".3r")
    layers = [
        chart.mark_rect(color=COLOURS[0]).encode(**axes, opacity=opacity),
        chart.mark_text(fontSize=11).encode(**axes, text=text),
    ]
    return _layered(layers, title, {"step": STEP}).properties(width={"step": 2.75 * STEP})


def plain_rows(rows: Rows, *columns: str) -> list[dict[str, Any]]:
    """Rows with values that JSON can hold: numbers that are not finite become None, other objects become text.

    Args:
        rows: a polars frame, or a list of dicts.
        columns: columns that every row must have; "" is ignored.

    Raises:
        ConfigError: there are no rows, or a column is missing.
    """
    dicts = rows if isinstance(rows, Sequence) else rows.to_dicts()
    if not dicts:
        raise ConfigError("no rows to draw")
    for number, row in enumerate(dicts):
        for column in columns:
            if column and column not in row:
                near = did_you_mean(column, row)
                raise ConfigError(f"row {number} has no column {column!r}{near}; it has: {', '.join(row)}")
    return [{key: _plain_value(value) for key, value in row.items()} for row in dicts]


def _plain_value(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def import_altair() -> Any:
    """The module `altair`.

    Raises:
        ConfigError: it or vl-convert is not installed; the message names the extra.
    """
    try:
        import altair
        import vl_convert  # noqa: F401
    except ImportError as error:
        raise ConfigError(f'charts need {error.name}, which is not installed: pip install "segue[viz]"') from error
    return altair


def _chart(data: list[dict[str, Any]]) -> Any:
    alt = import_altair()
    return alt.Chart(alt.Data(values=data))


def _layered(layers: list[Any], title: str, height: Any) -> Chart:
    chart = layers[0] if len(layers) == 1 else import_altair().layer(*layers)
    return chart.properties(width=WIDTH, height=height, **({"title": title} if title else {}))


def _field(name: str) -> str:
    """A column's name, with the characters escaped that Vega would read as a path into nested data."""
    return re.sub(r"([.\[\]\\])", r"\\\1", name)


def _number(
    channel: Any, column: str, *, title: str = "", log: bool = False, zero: bool = False, ticks: Sequence[int] = ()
) -> Any:
    alt = import_altair()
    scale = alt.Scale(**({"type": "log"} if log else {"zero": zero}))
    axis = {"axis": alt.Axis(values=list(ticks), format=",d")} if ticks else {}
    return channel(field=_field(column), type="quantitative", title=title or column, scale=scale, **axis)


def _whole_ticks(data: list[dict[str, Any]], column: str) -> list[int]:
    """The values of a column if they are few whole numbers, which then are the ticks; otherwise nothing."""
    values = sorted({row[column] for row in data if isinstance(row[column], int)})
    return values if len(values) <= MAX_TICKS and all(isinstance(row[column], int) for row in data) else []


def _name(channel: Any, data: list[dict[str, Any]], column: str, **options: Any) -> Any:
    return channel(field=_field(column), type="nominal", sort=_distinct(data, column), **options)


def _distinct(data: list[dict[str, Any]], column: str) -> list[Any]:
    """The distinct values of a column, in the order of their first rows."""
    return list(dict.fromkeys(row[column] for row in data))


def _with_opacity(data: list[dict[str, Any]], column: str, value: str) -> list[dict[str, Any]]:
    """The rows that have a number, with its position between the minimum (0) and the maximum (1) of its column."""
    rows = [row for row in data if row[value] is not None]
    numbers = {name: [row[value] for row in rows if row[column] == name] for name in _distinct(rows, column)}
    bounds = {name: (min(values), max(values)) for name, values in numbers.items()}
    return [{**row, OPACITY: _relative(row[value], *bounds[row[column]])} for row in rows]


def _relative(value: float, minimum: float, maximum: float) -> float:
    return (value - minimum) / (maximum - minimum) if maximum > minimum else 0.0


def _distinguish(data: list[dict[str, Any]], by: str, channel: str = "color") -> dict[str, Any]:
    """Colours or shapes for the values of a column, in the order of their first rows; one colour without a column."""
    alt = import_altair()
    if not by:
        return {"color": alt.value(COLOURS[0])} if channel == "color" else {}
    values, marks = _distinct(data, by), COLOURS if channel == "color" else SHAPES
    scale = alt.Scale(domain=values, range=[marks[index % len(marks)] for index in range(len(values))])
    encoding = alt.Color if channel == "color" else alt.Shape
    return {channel: encoding(field=_field(by), type="nominal", scale=scale)}
