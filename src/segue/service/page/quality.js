// @ts-check
/** The view of the live quality: what users took from their lists, beside what the models reached in their tests. */

import { chartOf, showCharts } from "./chart.js";
import { byId, element, table } from "./dom.js";
import { interval, whole } from "./format.js";
import { Traffic, chartWidth } from "./traffic.js";

const SECONDS = 30; // between two looks
const POINTS = 24;

/** The view. */
export class QualityView {
  /**
   * @param {import("./api.js").Api} api
   * @param {import("./notices.js").Notices} notices
   */
  constructor(api, notices) {
    this.api = api;
    this.notices = notices;
    this.traffic = new Traffic(api, notices);
    /** @type {{report: any, series: any} | null} */
    this.found = null;
    for (const id of ["cutoff", "hours"]) byId(id).addEventListener("change", () => this.refresh());
    setInterval(() => this.traffic.isShown && !document.hidden && this.refresh(), 1000 * SECONDS);
    addEventListener("resize", () => this.traffic.isShown && this.#draw());
  }

  async show() {
    this.traffic.isShown = true;
    this.#draw();
    await this.refresh();
    await this.traffic.read();
  }

  hide() {
    this.traffic.isShown = false;
  }

  async refresh() {
    const query = { k: byId("cutoff").value, hours: byId("hours").value };
    const found = await this.notices.guard("read the live quality", async () => {
      const [report, series] = await Promise.all([
        this.api.get("/v1/quality", { query }),
        this.api.get("/v1/quality/series", { query: { ...query, points: POINTS } }),
      ]);
      return { report, series };
    });
    if (found === undefined) return;
    this.found = found;
    this.#draw();
  }

  #draw() {
    this.traffic.draw();
    if (this.found === null) return;
    const { report, series } = this.found;
    byId("drops").replaceChildren(
      ...report.arms.filter((/** @type {any} */ one) => one.drop).map((/** @type {any} */ one) => element("p", { class: "notice" }, `${one.message}.`)),
    );
    byId("quality-table").replaceChildren(tableOf(report));
    const width = chartWidth(byId("quality-charts"));
    const charts = ["recall", "mrr"].map((metric) => chartOf(chartOfMetric(metric, report, series, width)));
    showCharts(byId("quality-charts"), charts);
  }
}

/** @param {any} report */
function tableOf(report) {
  if (!report.arms.length) {
    return element("p", { class: "empty" }, "No list was followed by an event in this time.");
  }
  const { k } = report;
  const rows = report.arms.map((/** @type {any} */ one) => [
    nameOf(one) + (one.active ? "" : " (no longer active)"),
    whole(one.lists),
    whole(one.users),
    interval(one.recall),
    interval(one.offline_recall),
    interval(one.mrr),
    interval(one.offline_mrr),
  ]);
  const head = ["Model", "Lists", "Users", `recall@${k}, live`, "in its test", `MRR@${k}, live`, "in its test"];
  return table("Live quality by model, with 95% intervals", head, rows);
}

/** @param {any} one */
function nameOf(one) {
  return one.arm === one.model ? one.model : `${one.model} (${one.arm === "shadow" ? "shadow" : `arm ${one.arm}`})`;
}

/**
 * @param {string} metric
 * @param {any} report
 * @param {any} series
 * @param {number} width
 */
function chartOfMetric(metric, report, series, width) {
  const name = `${metric === "mrr" ? "MRR" : metric}@${series.k}`;
  const times = series.points.map((/** @type {any} */ point) => (Date.parse(point.start) + Date.parse(point.end)) / 2);
  const lines = report.arms.map((/** @type {any} */ arm) => ({
    name: nameOf(arm),
    reference: arm[`offline_${metric}`]?.mean,
    points: series.points.map((/** @type {any} */ point, /** @type {number} */ place) => {
      const same = (/** @type {any} */ one) => one.model === arm.model && one.arm === arm.arm && one.fingerprint === arm.fingerprint;
      const figure = point.arms.find(same)?.[metric];
      return { x: times[place], y: figure?.mean ?? null, low: figure?.low, high: figure?.high };
    }),
  }));
  return {
    title: `${name} over time, with 95% intervals`,
    yLabel: name,
    lines,
    start: Date.parse(series.points[0].start),
    end: Date.parse(series.points[series.points.length - 1].end),
    width,
    reference: "in the test of the model",
  };
}
