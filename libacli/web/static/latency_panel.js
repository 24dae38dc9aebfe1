/** Latency, drawn and in numbers. */

import { chartOf } from "./chart.js";
import { byId, make, show } from "./dom.js";
import { FEWEST, partsOf, summaryOf } from "./latency.js";
import { isByAvatar, ms, rowWords } from "./words.js";

const KEPT = 50;
const PARTS = [
  ["voice", "Voice", "turn→T1"],
  ["sink", "Sink", "T1→T2"],
  ["heard", "Delivery", "T2→TA"],
];

export class LatencyPanel {
  /** @param {{d01: number, d12: number, d2a: number}} budgets */
  constructor(budgets) {
    this._budget = budgets.d01 + budgets.d12 + budgets.d2a;
    this._shown = "";
    this._lines = [];
    new ResizeObserver(() => this._draw()).observe(byId("chart"));
  }

  /** @param {any} board */
  render(board) {
    this._lines = board.begun.slice(-KEPT).map((row) => ({ row, parts: partsOf(row) }));
    const wanted = JSON.stringify(this._lines);
    if (wanted === this._shown) return;
    this._shown = wanted;
    show(byId("latency-empty"), this._lines.length === 0);
    show(byId("latency-all"), this._lines.length > 0);
    const all = this._lines.map(({ parts }) => parts);
    byId("latency-figures").replaceChildren(...figures(summaryOf(all, "latency"), this._budget));
    byId("latency-parts").replaceChildren(...PARTS.map((part) => partLine(part, all)), playedLine(all));
    byId("latency-rows").replaceChildren(...[...this._lines].reverse().map(numbers));
    this._draw();
  }

  _draw() {
    const box = byId("chart");
    if (!box.clientWidth || !this._lines.length) return;
    const summary = summaryOf(this._lines.map(({ parts }) => parts), "latency");
    box.replaceChildren(chartOf(this._lines, summary, box.clientWidth));
  }
}

function figures({ count, last, p50, p95 }, budget) {
  const all = [["p50", p50], ["p95", p95], ["last", last]];
  return all.slice(count < FEWEST ? 2 : 0).map(([name, value]) => {
    const number = make("dd", value !== null && value > budget ? { class: "slow" } : {}, ms(value));
    if (value !== null && value > budget) number.append(make("span", {}, ` over ${ms(budget)}`));
    return make("div", {}, make("dt", {}, name), number);
  });
}

function partLine([name, label, marks], all) {
  const { last, p50, p95 } = summaryOf(all, name);
  return make(
    "div",
    {},
    make("dt", {}, make("span", { class: `swatch ${name}`, "aria-hidden": "true" }), `${label} `, make("small", {}, marks)),
    make("dd", {}, make("small", {}, "p50 "), ms(p50)),
    make("dd", {}, make("small", {}, "p95 "), ms(p95)),
    make("dd", { class: "unseen" }, `last ${ms(last)}`),
  );
}

function playedLine(all) {
  const { p50, p95 } = summaryOf(all, "played");
  return make(
    "div",
    {},
    make("dt", {}, make("span", { class: "swatch", "aria-hidden": "true" }), "Played ", make("small", {}, "T2→T3")),
    make("dd", {}, make("small", {}, "p50 "), ms(p50)),
    make("dd", {}, make("small", {}, "p95 "), ms(p95)),
  );
}

function numbers({ row, parts }) {
  const at = row.t0 ? new Date(row.t0 * 1000).toLocaleTimeString([], { hourCycle: "h23" }) : "";
  const route = row.route ? (isByAvatar(row) ? "avatar" : "sound only") : "";
  const words = rowWords(row);
  const values = [parts.waited, parts.voice, parts.sink, parts.heard, parts.played, parts.total];
  return make(
    "tr",
    { "data-id": row.id, "data-state": row.state },
    make("th", { scope: "row" }, at),
    make("td", row.route_reason ? { title: row.route_reason } : {}, words ? `${route} (${words})` : route),
    ...values.map((value) => make("td", {}, value === null ? "–" : value.toFixed(value < 100 ? 1 : 0))),
  );
}
