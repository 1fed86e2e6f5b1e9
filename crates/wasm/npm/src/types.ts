/** What the node shows. Plain values: a view never changes, a newer one replaces it. */

/** *here* is durable on this device, *sent* durable at another, *seen* approved by members, *settled* certified. */
export type Status = 'here' | 'sent' | 'seen' | 'settled';

export interface EntryView {
  id: string;
  kind: 'post' | 'thanks' | 'join' | 'invite' | 'device' | 'sealed';
  /** The author's member id; `name` as it is shown. */
  member: string;
  name: string;
  mine: boolean;
  /** The author's claim, milliseconds since 1970. */
  time: number;
  status: Status;
  /** How many other members have approved it. */
  seenBy: number;
  settledHeight: number | null;
  /** Why the settlement did not count it (`balance-too-low` and so on), null where it counts. */
  void: string | null;
  text?: string;
  to?: string;
  toName?: string;
  amount?: number;
  reason?: string;
}

export interface MemberView {
  id: string;
  name: string;
  balance: number;
  /** Whether the join is settled. */
  settled: boolean;
  me: boolean;
  online: boolean;
  void: string | null;
  founder: boolean;
  /** A device of this member signed two entries at one place. */
  forked: boolean;
}

export interface PeerView {
  id: string;
  name: string;
  path: 'direct' | 'relayed' | 'relay';
  /** Milliseconds since 1970. */
  since: number;
}

export interface InviteView {
  url: string;
  uses: number;
  left: number;
  /** Milliseconds since 1970. */
  expires: number;
}

/** Fills the sentence that goes with an error code: numbers, names, never markup. */
export type Facts = Record<string, string | number>;

export interface AlertView {
  code: ErrorCode;
  facts: Facts;
}

export interface CircleView {
  id: string;
  name: string;
  /** This person's member id. */
  me: string;
  balance: number;
  /** Of the newest checkpoint; 0 is the genesis. */
  height: number;
  headerHash: string;
  stateRoot: string;
  entries: number;
  unsettled: number;
  members: MemberView[];
  peers: PeerView[];
  invites: InviteView[];
  alerts: AlertView[];
  relay: 'connecting' | 'connected' | 'off';
  syncing: boolean;
  /** Whether this person's own join is settled. */
  joined: boolean;
}

export interface CircleInfo {
  id: string;
  name: string;
}

export interface InvitePreview {
  circle: string;
  name: string;
  by: string;
  expires: number;
  left: number;
}

export interface RelayInfo {
  /** `ws://host:port/` or `wss://…`. */
  url: string;
  /** The relay's public key, hex. */
  peer: string;
  /** The address that invites carry; by default `url`. */
  publicUrl?: string;
}

/** What happens between `Node.open` and a node that answers. */
export type Progress =
  | { step: 'download'; loaded: number; /** An estimate, absent when nothing is known. */ total?: number }
  | { step: 'store' }
  | { step: 'connect' };

export type Change = 'circle' | 'timeline' | 'all';

/** Every way in which a call fails. `facts` names the numbers that a sentence about it needs. */
export const ERROR_CODES = [
  'invite-malformed',
  'invite-version',
  'invite-foreign',
  'invite-unknown',
  'invite-used-up',
  'invite-expired',
  'token-wrong',
  'relay-unreachable',
  'relay-other',
  'relay-version',
  'relay-full',
  'not-admitted',
  'body-too-large',
  'store-full',
  'store-blocked',
  'store-damaged',
  'name-invalid',
  'amount-invalid',
  'balance-too-low',
  'import-malformed',
  'settlement-refused',
  'settlement-divided',
  'not-kept',
  'other-tab',
  'busy',
  'internal',
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];
