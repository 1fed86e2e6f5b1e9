import { ERROR_CODES, type ErrorCode, type Facts } from './types';

/** The one error that this package throws. */
export class LedgernoError extends Error {
  readonly code: ErrorCode;
  readonly facts: Facts;

  constructor(code: ErrorCode, facts: Facts = {}) {
    super(`${code} ${JSON.stringify(facts)}`);
    this.name = 'LedgernoError';
    this.code = code;
    this.facts = facts;
  }

  /** Any thrown value as a `LedgernoError`: `{code, facts}` keeps both, all else is `internal`. */
  static from(thrown: unknown): LedgernoError {
    if (thrown instanceof LedgernoError) return thrown;
    const { code, facts } = (thrown ?? {}) as { code?: unknown; facts?: unknown };
    const known = ERROR_CODES.find((known) => known === code);
    if (known) return new LedgernoError(known, (facts ?? {}) as Facts);
    return new LedgernoError('internal', { detail: thrown instanceof Error ? thrown.message : String(thrown) });
  }
}
