/** How much later than at once sound and picture are played, where sound comes unsteadily. */

/** At most: a line that was stopped is heard for no longer, and lips that wait for more look absent. */
export const MOST_S = 0.5;

/** The same where nothing comes late and some is lost: a packet that is asked for again is there by then. */
export const MOST_FOR_LOSS_S = 0.2;

const JITTER_FROM_S = 0.02; // a packet: less is nothing that the browser's own buffer does not have anyway
const RANGE_OF_JITTER = 4; // RFC 6298 takes so many mean deviations for the range; RFC 3550 has jitter as one
const CONCEALED_FROM = 0.01; // share of sound that the browser has to make up; speech suffers from 1 % on
const LOOKS = 3; // a computer that is busy for a moment is no network: jitter is what it never was below in these
const LEAST_PACKETS = 10; // of 50 in a second: in silence hardly any are sent, and tell nothing
const GROWTH = 1.5;
const LEAST_GROWTH_S = 0.06;
const DECAY = 0.97; // each second: half of it is gone after 23
const LEAST_S = 0.02; // nobody hears less
const STEPS_PER_S = 100; // each change is heard as sound that is a little faster or slower: not for less

/**
 * What a browser has counted of one track of sound, from its first packet on; `jitter` is that of RFC 3550.
 * @typedef {{id: string, jitter: number, packets: number, samples: number, concealed: number}} Inbound
 */

/** The sound among what a track's `getStats` tells. @param {Iterable<any>} stats @returns {Inbound[]} */
export function inboundSound(stats) {
  return [...stats]
    .filter((one) => one.type === "inbound-rtp" && one.kind === "audio")
    .map((one) => ({
      id: one.id,
      jitter: one.jitter ?? 0,
      packets: one.packetsReceived ?? 0,
      samples: one.totalSamplesReceived ?? 0,
      concealed: (one.concealedSamples ?? 0) - (one.silentConcealedSamples ?? 0),
    }));
}

/**
 * Zero as long as sound comes steadily. It grows at once when sound comes unsteadily, more while there are
 * holes in it, and goes back slowly.
 */
export class PlayoutDelay {
  /** For sound and picture alike, so that lips stay with what they say. */
  seconds = 0;
  _before = new Map();
  _jitters = Array(LOOKS).fill(0);
  _wasRough = false;
  _exact = 0;

  /** What has been counted a second later. @param {Inbound[]} inbound of all tracks @returns {number} `seconds` */
  look(inbound) {
    const seen = inbound.map((now) => since(this._before.get(now.id), now)).filter((one) => one !== null);
    this._before = new Map(inbound.map((now) => [now.id, now]));
    if (seen.length) this._jitters = [...this._jitters.slice(1), Math.max(...seen.map((one) => one.jitter))];
    const jitter = Math.min(...this._jitters);
    const isLate = jitter >= JITTER_FROM_S;
    const isRough = seen.some((one) => one.concealed >= CONCEALED_FROM);
    const least = isLate ? RANGE_OF_JITTER * jitter : 0;
    // For the same reason sound that was made up once does not count.
    const grown = isRough && (isLate || this._wasRough) ? this._grown(isLate) : this._exact * DECAY;
    this._exact = Math.min(Math.max(least, grown), MOST_S);
    if (this._exact < LEAST_S) this._exact = 0;
    this._wasRough = isRough;
    this.seconds = Math.round(this._exact * STEPS_PER_S) / STEPS_PER_S;
    return this.seconds;
  }

  _grown(isLate) {
    const most = isLate ? MOST_S : MOST_FOR_LOSS_S;
    return Math.max(this._exact * DECAY, Math.min(most, Math.max(this._exact * GROWTH, this._exact + LEAST_GROWTH_S)));
  }
}

/** What has come since then; null: too little to tell. */
function since(before, now) {
  if (!before || now.packets - before.packets < LEAST_PACKETS || now.samples <= before.samples) return null;
  return { jitter: now.jitter, concealed: (now.concealed - before.concealed) / (now.samples - before.samples) };
}
