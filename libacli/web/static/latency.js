/** Where the time of utterances goes. Milliseconds, as in the agent's reports. */

/** Who waited no longer had nobody before him: `core/latency.py`, which has the rule. */
export const AT_ONCE_MS = 50;

const LATENCIES = ["voice", "sink", "heard", "latency"];

/**
 * From its turn on: what it waited in the queue is not the voice's doing. Null: not known.
 * @param {Record<string, any>} row
 */
export function partsOf(row) {
  const [voice, sink, heard, played] = [row.d01, row.d12, row.d2a, row.d23].map((value) => value ?? null);
  const latency = voice === null || sink === null || heard === null ? null : voice + sink + heard;
  const isAtOnce = (row.waited ?? 0) <= AT_ONCE_MS;
  return { voice, sink, heard, latency, played, waited: row.waited ?? null, total: row.total ?? null, isAtOnce };
}

/** Percentiles of fewer say no more than the last one does. */
export const FEWEST = 5;

/** The smallest value that at least `percent` % do not exceed; null of none. @param {number[]} values */
export function percentile(values, percent) {
  if (!values.length) return null;
  const ordered = [...values].sort((a, b) => a - b);
  return ordered[Math.max(0, Math.ceil((percent / 100) * ordered.length) - 1)];
}

/**
 * Last, p50 and p95 of one part; of latency those of lines that did not wait, as their voice was made meanwhile.
 * @param {ReturnType<typeof partsOf>[]} all @param {string} name
 */
export function summaryOf(all, name) {
  const counted = all.filter((parts) => parts.isAtOnce || !LATENCIES.includes(name));
  const values = counted.map((parts) => parts[name]).filter((value) => value !== null);
  return { count: values.length, last: values.at(-1) ?? null, p50: percentile(values, 50), p95: percentile(values, 95) };
}
