import type { Words } from 'ledgerno/proof';
import type { Facts, PeerView, ProposalView, RulesView, StampView } from 'ledgerno';
import { localeOf, moment } from './locale';
import { proof } from './proof.en';

const locale = localeOf('en');
const date = (time: unknown) => moment(locale, time);
const count = (n: number, one: string, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;
const list = (items: string[]) => new Intl.ListFormat(locale).format(items);

/** What may be wrong with 24 words. */
type WrongWords = Exclude<Words, { right: true }>;

/** The words of what is loaded on demand. */
export const en = {
  // Ranking
  allTime: 'All time',
  lastDays: (days: number) => `${days} days`,
  noThanks: 'Nobody was thanked yet.',
  noThanksLately: (days: number) => `Nobody was thanked in the last ${days} days.`,

  // Stamps
  stampsLead: 'A stamp proves that a document existed, to the letter, when the circle settled it.',
  stampDrop: 'Drop a file to stamp it, or choose one',
  stampStays: 'It stays on this device; the circle gets its name and fingerprint.',
  stamped: (name: string) => `Stamped: ${name}`,
  stampedBefore: (name: string, before: StampView) => `${name} has a stamp already: ${before.name}, ${date(before.time)}.`,
  stampedBy: (name: string, time: number) => `${name}, ${date(time)}`,
  vouchedBy: (names: string[]) => `${list(names)} ${names.length === 1 ? 'vouches' : 'vouch'} for it`,
  vouch: 'Vouch for it',
  vouchMeans: 'Says, signed by you, that you know this document and stand by it',
  vouched: 'You vouch for it.',
  saveProof: 'Save proof',
  proofSaved: (file: string) => `Saved: ${file}. It can be checked without this circle.`,

  // Checking a proof
  checkLead: 'You need no circle for this, and nobody is asked.',
  checkDrop: 'Drop a .ledgerno file, or choose one',
  checkHere: 'It is checked on this device.',
  proof,
  documentOther: (name: string) => `${name} is another document than the one that was stamped.`,
  documentDrop: 'Add the document',
  documentWhy: 'to see whether it is the stamped one',

  // The 24 words
  phraseWarning:
    'Whoever reads these 24 words is you, for good. Write them on paper, alone; take no picture and type them nowhere else.',
  phraseShow: 'Show my 24 words',
  phraseHide: 'Hide them',
  phraseHow: 'Write them down with their numbers. With them alone you are back, on any device, at this relay.',
  restoreLead: 'They bring back who you are and your circles. This browser becomes another of your devices.',
  restoreWords: 'Your 24 words',
  restoreCount: (n: number) => `${n} of 24`,
  restore: 'Restore',
  restoring: 'Restoring …',
  restoredAlone:
    'The words are right, but this relay keeps no circle for them. Open the page at the relay where your circle is.',
  wordsWrong: (wrong: WrongWords) =>
    wrong.why === 'unknown'
      ? `Word ${wrong.place}, “${wrong.word}”, is not in the list.${wrong.near.length ? ` Did you write ${wrong.near.join(', ')}?` : ''}`
      : wrong.why === 'count'
        ? `There must be 24 words; these are ${wrong.found}.`
        : 'Each word is right by itself, but not all together: one is another, or two are exchanged.',

  // About an entry
  erase: 'Erase',
  eraseMeans: 'Erasing takes its text away from everybody. That there was a post stays, and whoever has read it may have kept it.',
  proofMeans: 'The file proves who wrote this, what it says and when it was settled. Whoever has it can read it, in the circle or not.',
  forkProof: 'Save proof of the fork',
  forkProofMeans: 'The file proves that one device signed two different entries for one place. It shows no text.',

  // Invites
  revoke: 'Take back',
  revoked: 'Taken back. Once that is settled, nobody can use the link.',

  // A member
  deviceName: (device: { id: string; own: boolean }, i: number) => (device.own ? 'This device' : `Device ${i + 1}, ${device.id.slice(0, 6)}`),
  retired: 'retired',
  isWitness: 'witness',
  retire: 'Retire',
  retireMeans: (device: string, witness: boolean) =>
    `${device} will never write in this circle again, and cannot read what comes after. What it wrote stays.${witness ? ' It also stops being a witness.' : ''}`,
  remove: (name: string) => `Remove ${name} …`,
  removeMeans: (name: string) =>
    `${name} can write nothing more, and reads nothing that is written from then on; all keys are changed. What ${name} has read and written so far stays. This cannot be undone: to come back, ${name} needs a new invite and a new identity.`,
  leaveIt: 'Leave it',
  written: 'Done. It holds once it is settled.',

  proposeRemove: (name: string) => `Propose to remove ${name} …`,

  // What needs more than one
  proposes: (proposal: ProposalView) =>
    proposal.kind === 'remove'
      ? `${proposal.name} proposes to remove ${proposal.subject}.`
      : proposal.kind === 'rules'
        ? `${proposal.name} proposes other rules.`
        : `${proposal.name} proposes other witnesses: ${list([
            ...(proposal.promote ?? []).map((name) => `${name || 'the relay'} in`),
            ...(proposal.demote ?? []).map((name) => `${name || 'the relay'} out`),
          ])}.`,
  agreed: (agreed: number, needed: number) => `${agreed} of ${needed} needed agree`,
  agree: 'I agree',
  agreedSaid: 'You agree.',

  // Witnesses
  witnessesLead: 'Witnesses put what is written into one order. Tick who shall be one.',
  alwaysOn: 'always on',
  notReady: 'has not offered itself',
  setMeans: (size: number, quorum: number, liars: number) =>
    size === 0
      ? 'Without a witness nothing settles.'
      : size === 1
        ? 'One settles alone: quick, but if it is lost, settling stops; and its word must be trusted.'
        : size === 2
          ? 'Two are worse than one: both must be awake. Choose one, three or more.'
          : `${quorum} of ${size} must agree. ${size - quorum === 1 ? 'One' : size - quorum} may sleep${liars === 0 ? '; but none may lie. From four on one may.' : `, and ${liars === 1 ? 'one' : liars} may even lie.`}`,
  setWitnesses: 'Make it so',
  proposeWitnesses: 'Propose it',
  offer: 'Offer this device as a witness',
  resign: 'This device steps down as a witness',
  resignMeans: 'It votes no more once that is settled. Two witnesses are worse than one: both must be awake then.',
  lostLead: (name: string) => `Settling waits for one device alone: ${name}. If it is lost for good, let this device settle from now on.`,
  lostMeans:
    'Do this only if that device will not come back. Should it come back, what it settled alone in the meantime counts for nothing and is settled anew.',
  lostRenew: 'Let this device settle',
  relayTitle: 'The relay',
  relayLead: 'The relay is always on. It can settle while everybody sleeps, and still reads no post.',
  relayDoes: 'The relay settles. It sees members, points and stamps, and reads no post.',
  relayIn: 'Let the relay settle',
  relayPropose: 'Propose that the relay settles',
  relayOut: 'Settle without the relay',
  relaySteps: {
    asks: 'Asking the relay …',
    readies: 'Waiting until the offer is settled …',
    named: 'Waiting until the new witnesses are settled …',
  },
  proposed: 'Proposed. It holds once the founder or more than half of the members agree.',
  relaySettles: 'The relay settles from now on.',
  relayForgot: 'The relay settles no more, and has forgotten the keys.',
  ownerLink: 'The relay owner’s link',
  ownerLinkHint: 'the line “owner:” that the relay printed',
  goOn: 'Go on',
  founderChooses: 'The founder chooses them, or more than half of the members.',

  // Rules
  rules: (rules: RulesView) => [
    `Who joins gets ${count(rules.grant, 'point')}.`,
    `Each week everybody gets ${count(rules.allowance, 'point')} to give; they pile up for four weeks.`,
    `Witnesses share ${count(rules.reward, 'point')} a week for settling.`,
    rules.inviters === 'members' ? 'Every member may invite.' : 'Only the founder may invite.',
    'To remove a member or change witnesses takes the founder, or more than half of the members.',
    rules.retention
      ? `Devices keep what is settled for ${count(rules.retention, 'day')}, their own for ever; the relay keeps everything.`
      : 'Every device keeps everything.',
    rules.readable ? 'Anyone may read this circle: its keys are public.' : 'Only members can read this circle.',
  ],
  changeRules: 'Change the rules …',
  setRules: 'Make it so',
  circleId: 'The circle’s id, to compare with that of a proof:',
  readable: 'Anyone may read it',
  readableMeans:
    'For a record that all may check: its keys are public. The relay, and whoever gets a copy, can read every name and every word in it, for ever. It cannot be changed later.',
  joinReadable: 'This circle is public: whoever gets a copy can read your name and all that you write in it, for ever.',
  /** Errors of what is loaded on demand. */
  errors: {
    'invite-version': () =>
      'This invite was made by another version of ledgerno. Reload the page; if that does not help, ask for a link from the newest version.',
    'invite-foreign': () => 'This invite belongs to a different relay. Open the link just as it was sent to you.',
    'token-wrong': () =>
      'The relay does not accept this owner’s link. Open the line that it printed as “owner:” when it started.',
    'relay-full': () => 'The relay has no room left. Ask whoever runs it to make some.',
    'import-malformed': () => 'This is no ledgerno key file, or only a part of one. Choose the file that you saved.',
    'words-wrong': () => 'These are not the 24 words of anybody.',
    'occupied': () =>
      'This browser is somebody already, and is in circles. Open the page in another browser, or in a private window, and bring the key there.',
    'invite-unknown': () => 'Nobody knows this invite any more. Ask your friend for a new link.',
    'invite-used-up': (f: Facts) =>
      `This invite has been used ${f.uses ? `all ${f.uses} times` : 'up'}. Ask your friend for a new link.`,
    'invite-expired': (f: Facts) =>
      `This invite ran out${f.expires ? ` on ${date(f.expires)}` : ''}. Ask your friend for a new link.`,
    'no-member': () =>
      'This person is not in the circle: not yet, or no longer. If they have just joined, wait until that is settled.',
    'not-admitted': () => 'This device has not been let into the circle. Ask a member for an invite link.',
    'relay-other': () =>
      'A different relay answers at this address. Ask whoever runs it; an invite needs the relay that it was made with, so you may need a new link.',
    'relay-version': (f: Facts) =>
      `The relay speaks another version${f.theirs ? ` (${f.theirs}; this page: ${f.ours})` : ''}. Reload the page; if that does not help, the relay needs an update.`,
    'store-newer': () =>
      'A newer version of ledgerno has written what this browser holds, so it was left untouched. Reload the page; if that does not help, the relay needs an update.',
    'settlement-renewed': (f: Facts) =>
      `The founder took this device for lost, and another settles now. What this one had settled alone after height ${f.height} is being settled anew; nothing that was written is lost.`,
    'settlement-divided': (f: Facts) =>
      `${f.name || 'A friend'} was shown another settlement for height ${f.height} than you. One of the two is false. Compare with your friends before you rely on balances.`,
    'not-kept': () =>
      'The relay does not keep this circle, so what you write reaches friends only while they are here. Ask whoever runs the relay.',
    'invite-malformed': () => 'This invite link is cut or mistyped. Copy the whole link again, or ask for it once more.',
    'store-damaged': () =>
      'What this browser had saved is damaged, and was left untouched. Open the page in another browser and bring your key file, or ask for a new invite.',
    'name-invalid': (f: Facts) => `A name has 1 to ${f.limit ?? 64} characters.`,
    'settlement-refused': (f: Facts) =>
      `A settlement${f.height ? ` for height ${f.height}` : ''} was refused: it does not agree with what this device worked out itself. Your entries are safe. Tell your friends.`,
    'settlement-twice': (f: Facts) =>
      `The witnesses signed two different settlements for height ${f.height}, and only one can be true. Nothing shows as settled any more; what you write still reaches your friends. Tell them.`,
    'body-too-large': (f: Facts) =>
      `This is too long${f.len && f.limit ? ` (${f.len} bytes; ${f.limit} fit)` : ''}. Shorten it, or split it in two.`,
    'store-full': () => 'This device has no space left, so it was not saved. Free some space and try again.',
    'balance-too-low': (f: Facts) => `You have ${f.balance ?? 'fewer'} points${f.balance === undefined ? ' than that' : ''}. Give fewer.`,
    'no-renewal': () =>
      'This device cannot settle in its place: only the founder’s can, while one other device alone settles, and once all that friends hold has come.',
    'not-here': () => 'What that takes is still being fetched. Try again in a moment.',
    'not-settled': () => 'This is not settled yet. Try again once it is.',
    'no-proof': () =>
      'There is nothing here that a proof file could prove: it counted for nothing, was erased, or its author is gone.',
  },
  // Starting a circle
  circleName: 'Name of the circle',
  circleNameHint: 'Book club, flat 4b, the Tanakas …',
  start: 'Start the circle',
  starting: 'Starting …',
  localhost: (address: string) =>
    `You are at ${address}. Who you are is bound to this address: at another one you would be a stranger, and your friends cannot reach this one from their machines. To invite them, start the relay on a public address first.`,
  ruleNames: {
    grant: 'Points on joining',
    allowance: 'Points to give each week',
    reward: 'Points a week for the witnesses, together',
    retention: 'Days that devices keep what is settled (0: for ever)',
    inviters: 'Who may invite',
  },
  ruleInviters: { members: 'every member', founder: 'the founder alone' },
  rulesPropose: 'It holds once the founder or more than half of the members agree.',
  changeKeys: 'Change all keys',
  changeKeysMeans: 'Did somebody come to hold keys who is no member, by an invite link that others saw, say? With new keys they read nothing that is written from then on.',
  role: {
    light: 'This device’s part: light. It reads and writes; others vote.',
    witness: 'This device’s part: witness. It votes on what is settled.',
  },

  // How a friend's device is linked
  linkedDirectly: 'Nobody is between the two of you. If the relay is away, you go on.',
  linkedBy: (by: string) => `What you say to each other goes through ${by || 'the relay'}, sealed: nobody on the way can read it.`,
  relayNode: 'Relay',
  triedAt: (way: 'direct' | 'circuit', time: string) =>
    way === 'direct' ? `A direct link was last tried at ${time}.` : `A way through others was last tried at ${time}.`,
  noWebRtc: 'This browser makes no direct links: WebRTC is missing or switched off. A current Chrome, Edge, Firefox or Safari makes them.',
  heardOf: 'You hear of that device through the circle; no link of its own leads to it just now. What you write reaches it through the others.',
  theCircle: 'the circle',
  linkWhy: {
    'not-there': 'Neither the relay nor a friend reaches that device just now. It is tried again by itself.',
    'not-admitted': 'The one in the middle does not know you as a member yet. That passes as soon as it has what you wrote.',
    busy: 'Somebody on the way has too much to do. It is tried again by itself.',
    'no-answer': 'That device did not answer in time: it may be asleep, or its network slow. It is tried again by itself.',
    unsupported: 'That friend’s browser makes no direct links. A current Chrome, Edge, Firefox or Safari does.',
    refused: 'A browser refused the direct link. An extension or a setting may forbid WebRTC.',
    'no-way':
      'Your networks let no direct link through. In one Wi-Fi it would work; elsewhere whoever runs the relay can name a TURN server. Until then all goes on indirectly.',
    'given-up': 'The other device tried a direct link and did not get through. It is tried again by itself.',
    broken: 'The attempt broke off. It is tried again by itself.',
  } satisfies Record<Exclude<PeerView['why'], ''>, string>,

  keep: 'Keep on this device',
  kept: { all: 'What the circle’s rules say', 30: 'The last 30 days', 0: 'Only the newest' } as Record<string, string>,
  keepMeans:
    'Only what the relay keeps too is let go, and little by little; it comes back when you scroll to it. What you wrote stays.',
};

export type More = typeof en;
