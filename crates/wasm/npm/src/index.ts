/** ledgerno: a node of a circle's ledger in a web page. */
export * from './types';
export { LedgernoError } from './error';
export { missingFeatures, type Feature } from './features';
export { claimProfile, type Claim, type ClaimOptions } from './claim';
export { relayOfPage } from './relay';
export { Node, INVITE_DAYS, INVITE_USES, type OpenOptions } from './node';
export type { Provable } from './glue';
