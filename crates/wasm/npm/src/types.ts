/** What the node shows. Plain values: a view never changes, a newer one replaces it. */

/** *here* is durable on this device, *sent* durable at another, *seen* approved by members, *settled* certified. */
export type Status = 'here' | 'sent' | 'seen' | 'settled';

export type Deed =
  | 'stamp'
  | 'vouch'
  | 'offer'
  | 'enlist'
  | 'resign'
  | 'witnesses'
  | 'remove'
  | 'rules'
  | 'consent'
  | 'retire'
  | 'revoke';

export interface EntryView {
  id: string;
  kind: 'post' | 'thanks' | 'join' | 'invite' | 'device' | 'done' | 'erased' | 'sealed';
  /** Of kind `done`: what was done about the circle's order; a stamp's note is its `text`. */
  deed?: Deed;
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
  /** `heard`: it says in the circle that it is there, and no link leads to it. */
  path: 'direct' | 'relayed' | 'heard' | 'relay';
  /** Of a relayed one: the friend through whom; empty: a relay. */
  by: string;
  /** Milliseconds since 1970. */
  since: number;
  /** Why one that is relayed or only heard of is not linked better: of the last attempt; empty when there was none. */
  why: '' | 'not-there' | 'not-admitted' | 'busy' | 'no-answer' | 'unsupported' | 'refused' | 'no-way' | 'given-up' | 'broken';
  /** What that was for: a direct link, or one through others. */
  way: '' | 'direct' | 'circuit';
  /** When that was, in milliseconds since 1970. */
  tried: number | null;
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
  /** Points left to give this week, beside the balance. */
  allowance: number;
  /** Of the newest checkpoint; 0 is the genesis. */
  height: number;
  headerHash: string;
  stateRoot: string;
  entries: number;
  /** Old entries that this device let go; an archive keeps them. Those that were fetched back to be shown do not count. */
  keptElsewhere: number;
  unsettled: number;
  witnesses: WitnessView[];
  /** So many of the witnesses must agree. */
  quorum: number;
  /** Open ones. */
  proposals: ProposalView[];
  members: MemberView[];
  peers: PeerView[];
  invites: InviteView[];
  alerts: AlertView[];
  relay: 'connecting' | 'connected' | 'off';
  syncing: boolean;
  /** Whether this person's own join is settled. */
  joined: boolean;
}

/** A device that votes on what is settled. */
export interface WitnessView {
  device: string;
  /** Whose device it is; empty for a relay, which is nobody's. */
  member: string;
  name: string;
  /** This very device. */
  own: boolean;
  /** Said to be always on, as a relay is. */
  always: boolean;
  /** It can be heard, or is this one. */
  online: boolean;
}

/** What the state says of a member's device. */
export interface DeviceView {
  id: string;
  /** This very device. */
  own: boolean;
  online: boolean;
  /** Its enrolment is settled. */
  settled: boolean;
  retired: boolean;
  /** It votes now. */
  witness: boolean;
}

export interface RankView {
  member: string;
  name: string;
  me: boolean;
  /** Points thanked for. */
  points: number;
}

export interface StampView {
  /** The entry that stamped it. */
  id: string;
  /** BLAKE3 of the document, hex. */
  hash: string;
  /** What the member says it is, as a file's name; empty where nothing was said. */
  note: string;
  member: string;
  name: string;
  mine: boolean;
  /** The settling header's; before that the author's claim. Milliseconds since 1970. */
  time: number;
  status: Status;
  /** Who vouches for it besides, settled. */
  vouchers: { member: string; name: string }[];
  /** Whether this person's vouching is here, settled or not. */
  vouched: boolean;
}

/** What needs the founder's word, or that of more than half of the members. */
export interface ProposalView {
  /** The entry that made it. */
  id: string;
  kind: 'remove' | 'witnesses' | 'rules';
  /** Who proposes. */
  name: string;
  mine: boolean;
  /** Who shall leave; of a removal. */
  subject?: string;
  /** Who would vote then, by names, empty for a relay; of a change of witnesses. */
  promote?: string[];
  demote?: string[];
  /** So many members are for it, of so many needed. */
  agreed: number;
  needed: number;
  /** This person is for it, settled or not. */
  consented: boolean;
}

/** A device that could be a witness, or is one. */
export interface CandidateView {
  device: string;
  /** Empty for a relay. */
  member: string;
  name: string;
  own: boolean;
  always: boolean;
  online: boolean;
  /** It is one, or has offered itself of late. */
  ready: boolean;
}

export interface RulesView {
  /** Points on joining. */
  grant: number;
  /** Points to give, each week. */
  allowance: number;
  /** Points that are shared each week among who settles. */
  reward: number;
  /** Who may invite. */
  inviters: 'members' | 'founder';
  /** How many days light devices keep what is settled; 0: for ever. */
  retention: number;
  /** The keys are published: whoever has a copy reads it. Fixed when the circle was founded. */
  readable: boolean;
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
  /** Whoever has a copy of the circle reads it. */
  readable: boolean;
}

export interface RelayInfo {
  /** `ws://host:port/` or `wss://…`. */
  url: string;
  /** The relay's public key, hex. */
  peer: string;
  /** The address that invites carry; by default `url`. */
  publicUrl?: string;
  /** What the relay says of itself, each where `Node.open` is told nothing else. */
  page?: string;
  joinFrom?: number;
  iceServers?: string[];
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
  'store-newer',
  'name-invalid',
  'amount-invalid',
  'no-member',
  'balance-too-low',
  'import-malformed',
  'occupied',
  'words-wrong',
  'settlement-refused',
  'settlement-twice',
  'settlement-divided',
  'settlement-renewed',
  'no-renewal',
  'not-here',
  'not-settled',
  'no-proof',
  'not-kept',
  'other-tab',
  'busy',
  'internal',
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];
