import type { Deed, EntryView, ErrorCode, Facts, Feature, MemberView, PeerView, Status } from 'ledgerno';
import { localeOf, moment } from './locale';
import type { More } from './more.en';

const locale = localeOf('en');
const date = (time: unknown) => moment(locale, time);
const count = (n: number, one: string, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;
const list = (items: string[], type: Intl.ListFormatType = 'conjunction') => new Intl.ListFormat(locale, { type }).format(items);

const features: Partial<Record<Feature, string>> = {
  persist: 'the promise to keep your data',
  clipboard: 'direct copying',
};

export const en = {
  language: 'Language',
  tagline: 'A ledger that friends run for each other',

  // Loading
  loading: 'Loading the node',
  loaded: (kb: number) => `${kb} KB`,
  openingStore: 'Opening your ledger',
  connecting: 'Connecting',
  retry: 'Try again',
  noStart: 'It could not start',

  // Start
  startTitle: 'Start a circle',
  startLead: 'Name it, and say who you are. Your friends come in by a link that you get right away.',
  yourName: 'Your name',
  yourNameHint: 'What friends call you',

  // Join
  joinTitle: (name: string) => `Join “${name}”`,
  joinBy: (by: string) => `${by} invites you.`,
  joinLeft: (left: number, expires: number) => `Good for ${count(left, 'more person', 'more people')}, until ${date(expires)}.`,
  joinAsking: 'Looking up the invite …',
  join: 'Join',
  joining: 'Joining …',
  backToCircle: 'Back to my circle',

  // Neither invite nor token
  welcomeTitle: 'Ask for an invite',
  welcomeLead: 'A circle is open only to those whom a friend lets in. Ask whoever told you of it for their invite link; it looks like this:',
  welcomeHost: 'Do you run this relay yourself? Then open the line that it printed as “owner:” when it started.',
  haveKey: 'I have a key file from another device',

  // Tabs
  otherTabTitle: 'Open in another tab',
  otherTabLead: 'Another tab of this browser is your node. There can be only one, or your writes would contradict each other.',
  takenOverTitle: 'Now open in another tab',
  takenOverLead: 'Another tab took over. Nothing was lost.',
  takeOver: 'Use this tab instead',

  // Timeline
  timeline: 'Timeline',
  circle: 'Circle',
  compose: 'Write to the circle',
  post: 'Post',
  postKeys: (key: string) => `${key} + Enter posts`,
  showOlder: 'Show older',
  keptElsewhere: (count: number) => `${count} older entries are kept by the relay, no longer on this device.`,
  newEntries: 'New entries below',
  emptyTitle: 'Nothing here yet.',
  emptyLead: 'Write the first line, or send the invite link to a friend.',
  emptyInvite: 'Invite a friend',
  today: 'Today',
  yesterday: 'Yesterday',
  joinedLine: (name: string) => `${name} joined`,
  invitedLine: (name: string) => `${name} made an invite link`,
  deviceLine: (name: string) => `${name} added a device`,
  deeds: {
    stamp: (name, note) => `${name} stamped ${note || 'a document'}`,
    vouch: (name) => `${name} vouched for a document`,
    offer: (name) => `${name} offered a device as a witness`,
    enlist: (name) => `${name} asked the relay to help settle`,
    resign: (name) => `A device of ${name} is no witness any more`,
    witnesses: (name) => `${name} chose witnesses`,
    remove: (name) => `${name} wants to remove a member`,
    rules: (name) => `${name} chose other rules`,
    consent: (name) => `${name} agreed to a proposal`,
    retire: (name) => `${name} retired a device`,
    revoke: (name) => `${name} took an invite back`,
  } as Record<Deed, (name: string, note: string) => string>,
  erasedLine: (name: string) => `A post by ${name}, erased by its author`,
  about: 'About this entry',
  sealedLine: (name: string) => `A write by ${name} that this device cannot open yet`,
  thankedLine: (from: string, to: string) => `${from} thanks ${to}`,
  amountLabel: (amount: number) => count(amount, 'point'),
  /** The word beside an entry's mark, and what it says. */
  status: ({ status, seenBy }: Pick<EntryView, 'status' | 'seenBy'>) => ({ here: 'only here', sent: 'sent', seen: seenBy ? `seen by ${seenBy}` : 'seen', settled: 'settled' })[status],
  meaning: {
    here: 'Only here: safe on this device, not sent yet',
    sent: 'Sent: another node keeps it too',
    seen: 'Seen: that many friends have it',
    settled: 'Settled: the same for everybody',
  } as Record<Status, string>,
  notCounted: (reason: string) => `Not counted: ${reason}`,
  voids: {
    'not-member': 'its author is not a member',
    'already-member': 'already a member',
    'unknown-invite': 'the invite is unknown',
    'invite-known': 'the invite is known already',
    'invite-used-up': 'the invite was used up',
    'invite-expired': 'the invite had expired',
    'branch-not-counted': 'it contradicts an earlier write of the same device',
    unreadable: 'it cannot be read',
    'balance-too-low': 'not enough points',
    'amount-zero': 'no points given',
    'unknown-receiver': 'the receiver is not a member',
    'not-allowed': 'it is not allowed',
    'out-of-range': 'a number is too large',
    'invite-revoked': 'the invite was taken back',
    removed: 'its author was removed, or the device retired',
    unknown: 'what it names is not there',
    already: 'it was done before',
    'epoch-passed': 'the keys were changed meanwhile',
    'not-ready': 'the device has not offered itself of late',
    'last-witness': 'no witness would be left',
    'no-evidence': 'it proves nothing',
  } as Record<string, string>,

  // Circle
  you: 'you',
  yourPoints: 'Your points',
  allowance: (n: number) => (n === 0 ? 'nothing extra to give this week' : `and ${n} extra to give this week`),
  thank: 'Thank someone',
  thanksTo: 'To',
  thanksChoose: 'Choose a friend',
  thanksAmount: 'Points',
  thanksReason: 'What for',
  thanksSend: 'Send thanks',
  thanksSent: 'Thanks are on their way.',
  thanksAlone: 'As soon as a friend is in, you can thank them here.',
  members: 'Members',
  online: 'online',
  offline: 'away',
  founder: 'founder',
  forked: 'Forked: a device of this member wrote two things at one place',
  memberWaiting: 'waiting to be settled',
  memberVoid: ({ void: why }: MemberView) => (why === 'removed' ? 'removed' : `not in: ${en.voids[why ?? ''] ?? why}`),
  peers: 'Connected',
  nobody: 'No one right now.',
  proposals: 'To be decided',
  ranking: 'Ranking',
  stamps: 'Stamps',
  thisDevice: 'this device',
  more: (name: string) => `More about ${name}`,
  path: (path: PeerView['path']) =>
    ({ direct: 'directly', relayed: 'indirectly', heard: 'heard of', relay: 'Relay' })[path],
  since: (time: string) => `since ${time}`,

  invite: 'Invite',
  inviteBad: 'This invite does not work',
  inviteLead: 'Whoever opens this link is in. Send it only to people you mean.',
  inviteLink: 'Invite link',
  copy: 'Copy',
  copied: 'Copied',
  share: 'Share',
  qr: 'QR code of the invite link',
  showQr: 'QR code',
  inviteLeft: (left: number, uses: number) => `${left} of ${count(uses, 'use')} left`,
  inviteUntil: (expires: number) => `until ${date(expires)}`,
  inviteOthers: (n: number) => `${count(n, 'older link still works', 'older links still work')}.`,
  inviteLive: 'Links that work',
  inviteNone: 'No invite link is live.',
  inviteNew: 'New link',
  inviteUses: 'Uses',
  inviteDays: 'Days',

  settlement: 'Settled',
  settlementLead: 'What is settled stands in the same order, with the same balances, for everybody.',
  height: 'Height',
  unsettled: 'Waiting',
  unsettledCount: (n: number) => (n === 0 ? 'nothing' : count(n, 'entry', 'entries')),
  witnesses: 'Witnesses',
  witnessAlways: 'always on',
  settlesBy: (quorum: number, all: number) => (all === 1 ? 'It settles alone.' : `${quorum} of ${all} must agree.`),
  waitsFor: (missing: number, all: number, names: string[]) => `Waits for ${missing} more of ${all}: ${list(names, missing < names.length ? 'disjunction' : 'conjunction')}`,
  changeWitnesses: 'Choose witnesses',
  rules: 'Rules of the circle',
  stateRoot: 'State',
  headerHash: 'Header',
  entriesCount: 'Entries',

  identity: 'Your key',
  identityLead: 'Your key lives in this browser only. Keep a copy, so that a lost phone is not a lost you.',
  identityWarning: 'Whoever has the file is you. Keep it like a house key.',
  checkProof: 'Check a proof file',
  phrase: 'My 24 words',
  restore: 'I have my 24 words',
  exportKey: 'Save key file',
  imported: 'Your key is back.',
  kept: 'This browser has agreed to keep your data.',
  notKept: 'This browser may clear your data when it runs out of space. Keep a key file.',
  newCircle: 'Start another circle',
  switchCircle: 'Circle',

  // Relay and notices
  relayState: { connecting: 'Connecting …', connected: 'Connected', off: 'Relay out of reach' },
  relayOff: (direct: boolean): string =>
    direct
      ? 'The relay is out of reach; trying again. Go on writing: friends who are linked directly get it now, all others when the relay is back.'
      : 'The relay is out of reach; trying again. Go on writing: it stays here until the relay is back.',
  syncing: 'Catching up …',
  missing: (missing: Feature[]) =>
    `Because this address is not secure (no https), the browser leaves out ${list(missing.map((f) => features[f] ?? f))}; all else works.`,
  dismiss: 'Close',

  errors: {
    'relay-unreachable': () =>
      'The relay cannot be reached. Check your connection, or ask whoever runs it whether it is on; then try again.',
    'store-blocked': () =>
      'The browser does not let this page save anything. Leave private browsing or allow site data, then reload.',
    'amount-invalid': () => 'Points are whole numbers, 1 or more.',
    'other-tab': () => 'Another tab of this browser is open. Close it, or take over there.',
    busy: () => 'Too much at once. Wait a moment and try again.',
    internal: (f) => `Something went wrong that should not. Reload the page.${f.detail ? ` (${f.detail})` : ''}`,
  } satisfies Record<Exclude<ErrorCode, keyof More['errors']>, (facts: Facts) => string> as Partial<Record<ErrorCode, (facts: Facts) => string>>,
};

export type Words = typeof en;
