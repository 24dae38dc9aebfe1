/** Where the time of utterances goes. Milliseconds, as in the agent's reports. */

/**
 * From its turn on: what it waited in the queue is not the voice's doing. Null: not known.
 * @param {Record<string, any>} row
 */
export function partsOf(row) {
  const [d01, d12, d2a, d23] = [row.d01, row.d12, row.d2a, row.d23].map((value) => value ?? null);
  const turn = row.waited ?? 0;
  const voice = d01 === null ? null : Math.max(0, d01 - turn);
  const sink = d01 === null || d12 === null ? null : Math.max(0, d01 + d12 - Math.max(d01, turn));
  const latency = voice === null || sink === null || d2a === null ? null : voice + sink + d2a;
  return { voice, sink, heard: d2a, latency, played: d23, waited: row.waited ?? null, total: row.total ?? null };
}

/** The smallest value that at least `percent` % do not exceed; null of none. @param {number[]} values */
export function percentile(values, percent) {
  if (!values.length) return null;
  const ordered = [...values].sort((a, b) => a - b);
  return ordered[Math.max(0, Math.ceil((percent / 100) * ordered.length) - 1)];
}

/** Last, p50 and p95 of one part. @param {ReturnType<typeof partsOf>[]} all @param {string} name */
export function summaryOf(all, name) {
  const values = all.map((parts) => parts[name]).filter((value) => value !== null);
  return { last: values.at(-1) ?? null, p50: percentile(values, 50), p95: percentile(values, 95) };
}
