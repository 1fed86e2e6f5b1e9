// What the benchmarks share: quantiles, the rows of the table, a process's memory and time.

import { readFileSync } from 'node:fs';

/**
 * The value that a part of the values does not exceed; 0.5 is the median.
 * @param {number[]} values @param {number} part
 */
export function quantile(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];
  if (value === undefined) throw new Error('Nothing was measured.');
  return value;
}

/** @param {number[]} values */
export const median = (values) => quantile(values, 0.5);

/** Milliseconds, as short as they are exact. @param {number} value */
export function ms(value) {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

/** @typedef {{ what: string, value: string, aim?: string, met?: boolean }} Row */

/** The last line that a benchmark prints: its rows. @param {Row[]} rows */
export function report(rows) {
  console.log(JSON.stringify(rows));
}

/**
 * A row about megabytes of memory; `null` where the system does not tell.
 * @param {string} what @param {number | null} megabytes @param {number} most
 * @returns {Row}
 */
export function memoryRow(what, megabytes, most) {
  if (megabytes === null) return { what, value: 'not known on this system', aim: `at most ${most} MB` };
  return { what, value: `${megabytes.toFixed(1)} MB`, aim: `at most ${most} MB`, met: megabytes <= most };
}

/**
 * A process's resident memory in MB (10^6 bytes): now (`VmRSS`) or at its most (`VmHWM`).
 * @param {number | undefined} pid @param {'VmRSS' | 'VmHWM'} [which]
 */
export function memory(pid, which = 'VmRSS') {
  if (process.platform !== 'linux') return null;
  const kibibytes = new RegExp(`^${which}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return (Number(kibibytes) * 1024) / 1e6;
}

/**
 * A row about the processor's time, and how much it may be.
 * @param {string} what @param {number} percent @param {number} [most]
 * @returns {Row}
 */
export function coreRow(what, percent, most) {
  const row = { what, value: `${percent.toFixed(2)} % of a core` };
  return most === undefined ? row : { ...row, aim: `at most ${most} % of a core`, met: percent <= most };
}

/** The processor's time that a process took so far, in seconds. @param {number | undefined} pid */
export function processorTime(pid) {
  if (process.platform !== 'linux') return null;
  // After the name in brackets; the kernel counts in hundredths of a second for everybody.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop()?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
