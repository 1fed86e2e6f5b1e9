// Waiting for conditions, never for time.

/** Generous: speed is the benchmark's business, a test only tells "comes" from "never comes". In milliseconds. */
export const DEADLINE = 90_000;

/**
 * Waits until `condition` answers something truthy, and gives that back. A condition that throws has not come yet.
 * @template T
 * @param {() => T | Promise<T>} condition
 * @param {number} [ms]
 * @param {string} [what] for the error
 * @returns {Promise<T>}
 */
export async function waitFor(condition, ms = DEADLINE, what = condition.toString()) {
  const end = performance.now() + ms;
  let last;
  for (;;) {
    try {
      last = await condition();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw new Error(`Did not come in ${ms} ms: ${what}`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
