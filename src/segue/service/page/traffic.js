// @ts-check
/** Request rate, latency, events and fallback share, read from /metrics while the page is open. */

import { chartOf, showCharts } from "./chart.js";
import { byId } from "./dom.js";
import { moment } from "./format.js";
import { readingOf, ratesBetween } from "./prometheus.js";

const SECONDS = 5; // between two readings
const KEPT = 720; // points: an hour

/** @typedef {import("./prometheus.js").Rates} Rates */

/** The readings, and their charts. */
export class Traffic {
  /**
   * @param {import("./api.js").Api} api
   * @param {import("./notices.js").Notices} notices
   */
  constructor(api, notices) {
    this.api = api;
    this.notices = notices;
    this.begin = Date.now();
    /** @type {import("./prometheus.js").Reading | null} */
    this.last = null;
    /** @type {{time: number, rates: Rates}[]} */
    this.points = [];
    this.isShown = false;
    this.isReading = false;
    setInterval(() => document.hidden || this.read(), 1000 * SECONDS);
  }

  /** Take a reading; a service that wants a key for it is asked again when the view is shown. */
  async read() {
    if (this.isReading) return;
    this.isReading = true;
    try {
      const reading = readingOf(await this.api.text("/metrics", { quiet: !this.isShown }), Date.now());
      const rates = this.last && ratesBetween(this.last, reading);
      if (rates) this.points = [...this.points, { time: reading.time, rates }].slice(-KEPT);
      this.last = reading;
      if (this.isShown) this.draw();
    } catch (error) {
      if (this.isShown) this.notices.show("read the figures of the service", error);
    } finally {
      this.isReading = false;
    }
  }

  draw() {
    byId("traffic-note").textContent =
      `Of the process that answers this page, read from /metrics every ${SECONDS} s since the page was opened ` +
      `(${moment(new Date(this.begin).toISOString())}). The requests of this page are among them.`;
    const charts = [
      this.#chart("Requests", "requests/s", { "all routes of /v1": (one) => one.rate }),
      this.#chart("Latency of /v1/recommend", "milliseconds", { p50: (one) => one.p50, p99: (one) => one.p99 }),
      this.#chart("Events", "events/s", { stored: (one) => one.events }),
      this.#chart("Answers without the model", "% of answers", { fallback: (one) => one.fallback }),
    ];
    showCharts(byId("traffic-charts"), charts);
  }

  /**
   * @param {string} title
   * @param {string} yLabel
   * @param {Record<string, (rates: Rates) => number | null>} lines
   */
  #chart(title, yLabel, lines) {
    const start = this.points[0]?.time ?? this.begin;
    return chartOf({
      title,
      yLabel,
      start,
      end: Math.max(this.last?.time ?? start, start + 60_000),
      width: chartWidth(byId("traffic-charts")),
      lines: Object.entries(lines).map(([name, value]) => ({
        name,
        points: this.points.map(({ time, rates }) => ({ x: time, y: value(rates) })),
      })),
    });
  }
}

/**
 * The width of one chart in a grid of charts.
 * @param {HTMLElement} place
 */
export function chartWidth(place) {
  const width = place.clientWidth || 600;
  const columns = getComputedStyle(place).gridTemplateColumns.split(" ").length;
  const gap = parseFloat(getComputedStyle(place).columnGap) || 0;
  return Math.max(280, Math.floor((width - gap * (columns - 1)) / columns) - 34);
}
