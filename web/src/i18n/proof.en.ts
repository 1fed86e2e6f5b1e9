import type { Finding, Limit, NoFinding, Operation } from 'ledgerno/proof';
import { localeOf, moment } from './locale';

const locale = localeOf('en');
const date = (time: unknown) => moment(locale, time);
const number = (n = 0) => new Intl.NumberFormat(locale).format(n);
const count = (n: number, one: string, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;
const list = (items: string[]) => new Intl.ListFormat(locale).format(items);

/** A line of a finding: what it is, and what it says; `code` is compared letter by letter. */
export type Row = { label: string; value: string; code?: boolean };

const operations: Record<Operation, string> = {
  join: 'joined the circle',
  enrol: 'added a device',
  invite: 'gave an invite',
  thanks: 'thanked a member',
  revoke: 'took an invite back',
  retire: 'retired a device',
  epoch: 'had all keys changed',
  keys: 'handed out keys',
  lacking: 'asked for keys',
  ready: 'offered a device as a witness',
  resign: 'stepped down as a witness',
  evidence: 'showed that a witness voted twice',
  propose: 'proposed a change',
  consent: 'agreed to a proposal',
  stamp: 'stamped a document',
  vouch: 'vouched for a document',
  merge: 'only confirmed what others wrote',
};

/** What a proof file proves, by whom, when, on what that rests, and what it does not say. */
export const proof = {
  /** `document`: the name of the document that was compared, and is the one. */
  proves: (found: Finding, document?: string): string => {
    const when = date(found.time);
    switch (found.kind) {
      case 'stamp':
        return `${document ?? 'A document with this fingerprint'} existed on ${when}: its stamp was settled then.`;
      case 'entry':
        switch (found.content) {
          case 'post':
            return `${found.name} wrote this text, and it was settled on ${when}.`;
          case 'thanks':
            return `${found.name} wrote thanks of ${count(found.amount ?? 0, 'point')}, and they were settled on ${when}.`;
          case 'stamp':
            return `${found.name} wrote a stamp of a document, and it was settled on ${when}.`;
          case 'operation':
            return `${found.name} ${operations[found.operation ?? 'merge']}: that was written, and settled on ${when}.`;
          case 'unknown':
            return `${found.name} wrote something of a kind that this page does not know, and it was settled on ${when}.`;
          default:
            return `${found.name} wrote something that this file does not show, and it was settled on ${when}.`;
        }
      case 'fork':
        return found.member
          ? `A device of ${found.name} signed two different entries for one place of its chain: it forked.`
          : 'A device signed two different entries for one place of its chain: it forked.';
      case 'member':
        return found.removed === undefined
          ? `${found.name} was a member of “${found.circleName}” on ${when}.`
          : `${found.name} was a member of “${found.circleName}” once, and was so no more on ${when}.`;
      case 'no-member':
        return `Nobody with this identity was a member of “${found.circleName}” on ${when}.`;
      case 'header':
        return `The circle “${found.circleName}” had settled height ${number(found.height)} on ${when}.`;
    }
  },
  says: { post: 'It says:', thanks: 'For:', stamp: 'With the note:' } as Record<string, string>,

  rows: (found: Finding): Row[] => {
    const rows: (Row | false | undefined)[] = [
      { label: 'Circle', value: found.circleName },
      { label: 'Its id', value: found.circle, code: true },
      !!found.name && { label: { stamp: 'Stamped by', entry: 'Written by', fork: 'Device of' }[found.kind as string] ?? 'Member', value: found.name },
      found.removed !== undefined && { label: 'Removed', value: `at height ${number(found.removed)}` },
      found.member !== undefined && { label: 'Identity', value: found.member, code: true },
      found.kind === 'fork' && found.device !== undefined && { label: 'Device', value: found.device, code: true },
      found.seq !== undefined && { label: 'Place in the device’s chain', value: number(found.seq) },
      found.to !== undefined && { label: 'Thanks to', value: found.to, code: true },
      found.written !== undefined && { label: 'Written, by the author’s own clock', value: date(found.written) },
      found.kind !== 'fork' && { label: found.kind === 'entry' || found.kind === 'stamp' ? 'Settled' : 'As settled', value: `${date(found.time)}, at height ${number(found.height)}` },
      found.joined !== undefined && { label: 'Joined', value: `at height ${number(found.joined)}` },
      found.points !== undefined && { label: 'Points then', value: number(found.points) },
      found.count !== undefined && { label: 'It settled', value: count(found.count, 'entry', 'entries') },
      found.vouched.length > 0 && {
        label: 'Vouched for by',
        value: list(found.vouched.map(({ name, member, time }) => `${name || member.slice(0, 8)} (${date(time)})`)),
      },
      found.hash !== undefined && { label: 'Fingerprint of the document', value: found.hash, code: true },
      ...(found.entries ?? []).map((value, i) => ({ label: i ? 'The other entry' : 'One entry', value, code: true })),
      found.entry !== undefined && { label: 'Entry', value: found.entry, code: true },
    ];
    return rows.filter((row) => !!row);
  },

  rests: ({ newest, pinned, votes, witnesses, changes, kind, member }: Finding): string =>
    newest
      ? `${kind === 'fork' ? 'That the device forked rests on its own two signatures. Whose it is rests on' : 'It rests on'} the votes of ${votes} of ${count(witnesses, 'witness', 'witnesses')} for height ${number(newest.height)}, settled on ${date(newest.time)}, and on those before them ${pinned ? `from height ${number(pinned.height)} (${pinned.hash.slice(0, 16)} …)` : 'from the circle’s founding'} on; the witnesses changed ${changes === 1 ? 'once' : `${number(changes)} times`}.`
      : `It rests on the device’s own two signatures, and needs no witness${member ? '' : ' and no date'}.`,

  notSaid: 'It does not prove',
  limits: {
    circle: 'that this is the circle you mean: anybody can give a circle this name. Compare its id with somebody you trust.',
    pinned: 'that the header it starts from is a true one: compare its height and hash with somebody you trust.',
    'sole-witness': 'that there is no other history: one witness alone settled this, and could have shown others another.',
    names: 'who the people are: names are what members call themselves.',
    'authors-clock': 'when it was written: that is the author’s word. When it was settled is the witnesses’.',
    reading:
      'that members read the same text, if its author and the maker of this file planned that together: a body can be made to open to two texts.',
    effect: 'that it took effect: it was settled, and may have counted for nothing (too few points, say).',
    'no-author': 'whose device it is, nor when it happened.',
  } as Record<Limit, string>,

  nothing: (file: string, why: NoFinding['why'] | 'too-large'): string =>
    ({
      'no-proof-file': `${file} is no proof file.`,
      newer: `${file} was made by a newer version of ledgerno. Whether it holds cannot be told here: reload the page, or check it where it was made.`,
      damaged: `${file} is damaged: it was changed on its way, or cut. It proves nothing; ask for it once more.`,
      forged: `${file} proves nothing: it is whole, but what it claims does not follow from what it holds. Do not trust whoever made it.`,
      'too-large': `${file} is too large to be a proof file.`,
    })[why],
};

export type ProofWords = typeof proof;
