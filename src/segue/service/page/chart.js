// @ts-check
/** Line charts over time, as SVG, with the same figures in a table. */

import { element, svg, table } from "./dom.js";
import { decimal, plain, tick } from "./format.js";

const HEIGHT = 220;
const MARGIN = { top: 12, right: 12, bottom: 38, left: 52 };
const TICKS = [1, 2, 2.5, 5, 10];

/**
 * @typedef {{x: number, y: number | null, low?: number | null, high?: number | null}} Point
 * @typedef {{name: string, points: Point[], reference?: number | null}} Line reference: a value to compare with.
 * @typedef {{
 *   title: string, yLabel: string, lines: Line[], start: number, end: number, width: number, reference?: string
 * }} Chart reference: what the reference of each line is.
 */

/**
 * @param {Chart} chart
 * @returns {HTMLElement}
 */
export function chartOf(chart) {
  const drawn = chart.lines.filter((line) => line.points.some((point) => point.y !== null));
  const body = drawn.length ? drawing({ ...chart, lines: drawn }) : element("p", { class: "empty chart-empty" }, "No figures yet.");
  return element(
    "figure",
    { class: "chart" },
    element("figcaption", {}, chart.title),
    element("div", { class: "legend" }, ...(drawn.length ? legend(drawn, chart.reference) : [])),
    body,
    drawn.length ? element("details", {}, element("summary", {}, "As a table"), figures({ ...chart, lines: drawn })) : null,
  );
}

/**
 * Show new charts in place of older ones. Tables stay open, and the chart in which the focus is waits for the next time.
 * @param {HTMLElement} place
 * @param {HTMLElement[]} charts
 */
export function showCharts(place, charts) {
  const olds = [...place.children];
  charts.forEach((chart, index) => {
    const old = olds[index];
    if (!old) place.append(chart);
    else if (!old.contains(document.activeElement)) {
      const [table, oldTable] = [chart, old].map((one) => one.querySelector("details"));
      if (table && oldTable) table.open = oldTable.open;
      old.replaceWith(chart);
    }
  });
}

/**
 * @param {Line[]} lines
 * @param {string | undefined} reference
 */
function legend(lines, reference) {
  const key = (/** @type {string} */ name, /** @type {string} */ className) =>
    element(
      "span",
      {},
      svg("svg", { viewBox: "0 0 22 8", width: 22, height: 8, "aria-hidden": "true" }, svg("path", { class: className, d: "M0 4H22" })),
      ` ${name}`,
    );
  const hasReference = reference && lines.some((line) => line.reference != null);
  return [
    ...lines.map((line, place) => key(line.name, `line series-${place % 4}`)),
    ...(hasReference ? [key(reference, "reference series-none")] : []),
  ];
}

/** @param {Chart} chart */
function drawing(chart) {
  const { lines, start, end, width } = chart;
  const values = lines.flatMap((line) => [line.reference, ...line.points.flatMap((one) => [one.y, one.high])]);
  const ticks = niceTicks(Math.max(...values.map((value) => value ?? 0)));
  const top = ticks[ticks.length - 1];
  const x = (/** @type {number} */ time) =>
    MARGIN.left + ((time - start) / (end - start || 1)) * (width - MARGIN.left - MARGIN.right);
  const y = (/** @type {number} */ value) => HEIGHT - MARGIN.bottom - (value / top) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": summary(chart) },
    ...axes(chart, ticks, x, y),
    ...lines.flatMap((line, place) => lineOf(line, `series-${place % 4}`, { x, y, start, end })),
  );
}

/**
 * @param {Chart} chart
 * @param {number[]} ticks
 * @param {(time: number) => number} x
 * @param {(value: number) => number} y
 */
function axes({ start, end, width, yLabel }, ticks, x, y) {
  const count = width > 420 ? 4 : 2;
  const times = Array.from({ length: count + 1 }, (_, place) => start + ((end - start) * place) / count);
  const anchor = (/** @type {number} */ place) => (place === 0 ? "start" : place === count ? "end" : "middle");
  const middle = (HEIGHT - MARGIN.bottom + MARGIN.top) / 2;
  return [
    ...ticks.flatMap((value) => [
      svg("path", { class: "grid", d: `M${MARGIN.left} ${y(value)}H${width - MARGIN.right}` }),
      svg("text", { x: MARGIN.left - 6, y: y(value) + 4, "text-anchor": "end" }, plain(value)),
    ]),
    ...times.map((time, place) =>
      svg("text", { x: x(time), y: HEIGHT - MARGIN.bottom + 16, "text-anchor": anchor(place) }, tick(time, end - start)),
    ),
    svg("text", { x: (MARGIN.left + width) / 2, y: HEIGHT - 4, "text-anchor": "middle", class: "axis" }, "time"),
    svg("text", { transform: `translate(11 ${middle}) rotate(-90)`, "text-anchor": "middle", class: "axis" }, yLabel),
  ];
}

/**
 * @param {Line} line
 * @param {string} series
 * @param {{x: (time: number) => number, y: (value: number) => number, start: number, end: number}} scale
 */
function lineOf(line, series, { x, y, start, end }) {
  const runs = runsOf(line.points);
  const place = (/** @type {number} */ time, /** @type {number} */ value) => `${x(time).toFixed(1)} ${y(value).toFixed(1)}`;
  const band = (/** @type {any[]} */ run) =>
    `M${run.map((one) => place(one.x, one.high ?? one.y)).join("L")}L${[...run].reverse().map((one) => place(one.x, one.low ?? one.y)).join("L")}Z`;
  return [
    ...runs.map((run) => svg("path", { class: `band ${series}`, d: band(run) })),
    line.reference == null ? null : svg("path", { class: `reference ${series}`, d: `M${place(start, line.reference)}L${place(end, line.reference)}` }),
    ...runs.map((run) => svg("path", { class: `line ${series}`, d: `M${run.map((one) => place(one.x, one.y ?? 0)).join("L")}` })),
    ...runs.filter((run) => run.length < 40).flat().map((one) => svg("circle", { class: `dot ${series}`, cx: x(one.x).toFixed(1), cy: y(one.y ?? 0).toFixed(1), r: 2.5 })),
  ];
}

/**
 * The stretches of points that have a value, without gaps.
 * @param {Point[]} points
 */
function runsOf(points) {
  /** @type {Point[][]} */
  const runs = [[]];
  for (const point of points) {
    if (point.y === null) runs.push([]);
    else runs[runs.length - 1].push(point);
  }
  return runs.filter((run) => run.length);
}

/**
 * Round values from 0 to at least the largest one.
 * @param {number} largest
 */
export function niceTicks(largest) {
  const step = largest > 0 ? largest / 4 : 0.25;
  const power = 10 ** Math.floor(Math.log10(step));
  const nice = power * (TICKS.find((one) => one * power >= step * (1 - 1e-9)) ?? 10);
  const count = Math.max(1, Math.ceil(largest / nice - 1e-9));
  return Array.from({ length: count + 1 }, (_, place) => place * nice);
}

/** @param {Chart} chart */
function summary({ title, yLabel, lines }) {
  const newest = lines.map((line) => {
    const last = [...line.points].reverse().find((point) => point.y !== null);
    return `${line.name} ${decimal(last?.y ?? 0)}`;
  });
  return `${title}, ${yLabel} over time. Newest: ${newest.join(", ")}. The table below has all figures.`;
}

/** @param {Chart} chart */
function figures({ title, lines, start, end }) {
  const times = [...new Set(lines.flatMap((line) => line.points.filter((one) => one.y !== null).map((one) => one.x)))];
  const cell = (/** @type {Line} */ line, /** @type {number} */ time) => {
    const point = line.points.find((one) => one.x === time);
    if (!point || point.y === null) return "–";
    const ends = point.low != null && point.high != null ? ` (${decimal(point.low)} to ${decimal(point.high)})` : "";
    return decimal(point.y) + ends;
  };
  const rows = times.sort((a, b) => b - a).map((time) => [tick(time, end - start), ...lines.map((line) => cell(line, time))]);
  const label = `${title}, all figures`;
  return element(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": label },
    table(title, ["Time", ...lines.map((line) => line.name)], rows),
  );
}
