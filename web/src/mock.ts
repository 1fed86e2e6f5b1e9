/**
 * A stand-in for the node, to draw screens without wasm: `npx vite`, then `/?mock=circle`. Never part of a build.
 * `?mock=` takes words: circle, readable, forked, two (circles), many (entries), empty, off, refused, tab, loading, long, insecure,
 * witnesses (three), asleep (two of three), friend (not the founder),
 * proposals.
 */
import {
  LedgernoError,
  type CandidateView,
  type CircleView,
  type DeviceView,
  type EntryView,
  type InviteView,
  type MemberView,
  type OpenOptions,
  type StampView,
  type WitnessView,
} from 'ledgerno';
import type { Finding } from 'ledgerno/proof';
import type { NodeLike, ProofTools } from './session.svelte';

const words = new Set((new URLSearchParams(location.search).get('mock') ?? '').split(','));
const japanese = (localStorage.getItem('ledgerno.language') ?? navigator.language).startsWith('ja');
const hex = (seed: string, bytes = 32) => {
  let state = [...seed].reduce((sum, char) => Math.imul(sum, 31) + char.charCodeAt(0), 7) >>> 0;
  let out = '';
  while (out.length < bytes * 2) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    out += (state >>> 8 & 0xff).toString(16).padStart(2, '0');
  }
  return out;
};
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const names = japanese ? ['葵', '蓮', '美咲', '健太', 'さくら'] : ['Aki', 'Ben', 'Chiara', 'Dmitri', 'Eun-ji'];
const ids = names.map((name) => hex(name));

interface Held {
  view: CircleView;
  stamps: StampView[];
  devices: Map<string, DeviceView[]>;
  entries: EntryView[];
}

export async function openMock(options: OpenOptions): Promise<NodeLike> {
  if (words.has('insecure')) Object.defineProperty(navigator, 'clipboard', { value: undefined });
  if (words.has('tab') && !options.takeOver) throw new LedgernoError('other-tab');
  for (let loaded = 0; loaded <= 1293; loaded += words.has('loading') ? 4 : 400) {
    options.onProgress?.({ step: 'download', loaded: loaded * 1024, total: 1293 * 1024 });
    await pause(20);
  }
  options.onProgress?.({ step: 'store' });
  if (words.has('damaged')) throw new LedgernoError('store-damaged');
  return new MockNode(options);
}

class MockNode implements NodeLike {
  #held = new Map<string, Held>();
  #enlisted = words.has('witnesses');

  constructor(private readonly options: OpenOptions) {
    if (words.has('circle')) this.#add(circle(japanese ? '三丁目の晩ごはん会' : 'Thursday supper club'));
    if (words.has('two')) this.#add(circle(japanese ? '読書会' : 'Book circle'));
    if (words.has('taken')) setTimeout(() => options.onTakenOver?.(), 500);
  }

  #add(held: Held): string {
    this.#held.set(held.view.id, held);
    return held.view.id;
  }

  #get(id: string): Held {
    const held = this.#held.get(id);
    if (!held) throw new LedgernoError('internal', { detail: 'no such circle' });
    return held;
  }

  circles = () => [...this.#held.values()].map(({ view: { id, name } }) => ({ id, name }));
  circle = (id: string) => ({ ...this.#get(id).view });
  timeline = (id: string, limit: number) => this.#get(id).entries.slice(-limit).map((entry) => ({ ...entry }));

  async startCircle(o: { name: string; yourName: string; token: string }) {
    await pause(300);
    if (!o.name || !o.yourName) throw new LedgernoError('name-invalid', { limit: 64 });
    if (o.token === 'wrong') throw new LedgernoError('token-wrong');
    const held = circle(o.name, [o.yourName]);
    held.entries = [];
    return this.#add(held);
  }

  async preview(token: string) {
    await pause(200);
    if (token.length < 5) throw new LedgernoError('invite-malformed');
    if (token === 'expired') throw new LedgernoError('invite-expired', { expires: Date.now() - 9e7 });
    return {
      circle: 'x',
      name: japanese ? '三丁目の晩ごはん会' : 'Thursday supper club',
      by: names[0] ?? '',
      expires: Date.now() + 5 * 864e5,
      readable: words.has('readable'), left: 8,
    };
  }

  async join(_token: string, yourName: string) {
    await pause(300);
    if (!yourName) throw new LedgernoError('name-invalid', { limit: 64 });
    return this.#add(circle((await this.preview('xxxxx')).name, [yourName, ...names.slice(1)]));
  }

  async post(id: string, text: string) {
    await pause(30);
    if (text.length > 16384) throw new LedgernoError('body-too-large', { len: text.length, limit: 16384 });
    return this.#write(id, { kind: 'post', text });
  }

  async erase(id: string, post: string) {
    await pause(30);
    const erased = this.#get(id).entries.find((one) => one.id === post);
    if (erased) Object.assign(erased, { kind: 'erased', text: undefined });
    this.options.onChange('timeline');
    return post;
  }

  async thank(id: string, to: string, amount: number, reason: string) {
    await pause(30);
    const { view } = this.#get(id);
    if (amount > view.balance) throw new LedgernoError('balance-too-low', { balance: view.balance, amount });
    const toName = view.members.find((member) => member.id === to)?.name ?? '?';
    return this.#write(id, { kind: 'thanks', to, toName, amount, reason });
  }

  async invite(id: string, o: { uses?: number; days?: number } = {}) {
    await pause(100);
    const made = invite(o.uses ?? 10, o.days ?? 7);
    this.#get(id).view.invites.push(made);
    return made;
  }

  ranking = (id: string, days: 30 | null) =>
    words.has('empty')
      ? []
      : this.#get(id)
          .view.members.map(({ id: member, name, me }, i) => ({ member, name, me, points: [34, 61, 28, 12, 0][i] ?? 0 }))
          .map((rank) => (days ? { ...rank, points: Math.floor(rank.points / 3) } : rank))
          .filter(({ points }) => points > 0)
          .sort((a, b) => b.points - a.points);
  stamps = (id: string) => this.#get(id).stamps.map((stamp) => ({ ...stamp })).reverse();
  proof = async (_: string, what: string, about: string) => new TextEncoder().encode(`ledgerno mock ${what} ${about}`);

  async stamp(id: string, hash: string, note: string) {
    const held = this.#get(id);
    const made = stampOf(held.view.members[0] ?? member(0), hash, Date.now(), { mine: true, status: 'here', note });
    held.stamps.push(made);
    void this.#ripen(held, Object.assign(entry(member(0), 0, {}), { status: 'here' }), made);
    return made.id;
  }

  async vouch(id: string, hash: string) {
    const found = this.#get(id).stamps.find((one) => one.hash === hash);
    if (found) Object.assign(found, { vouched: true, vouchers: [...found.vouchers, { member: ids[0] ?? '', name: names[0] ?? '' }] });
    this.options.onChange('all');
    return hex(`vouch${hash}`);
  }

  rules = () => ({ grant: 100, allowance: 20, reward: 10, inviters: 'members' as const, retention: 0, readable: words.has('readable') });
  changeRules = async (id: string) => hex(id);
  changeKeys = async (id: string) => hex(id);
  resignWitness = async (id: string) => hex(id);
  devices = (id: string, member: string) => [...(this.#get(id).devices.get(member) ?? [])];

  async retireDevice(id: string, device: string) {
    const held = this.#get(id);
    for (const [member, devices] of held.devices)
      held.devices.set(member, devices.map((one) => (one.id === device ? { ...one, retired: true, witness: false } : one)));
    this.options.onChange('all');
    return hex(device);
  }

  async removeMember(id: string, member: string) {
    const { view } = this.#get(id);
    view.members = view.members.filter((one) => one.id !== member);
    this.options.onChange('all');
    return hex(member);
  }

  candidates = (id: string): CandidateView[] => {
    const { view } = this.#get(id);
    const people = view.members.map(({ id: member, name, me, online }, i) => ({ device: hex(`d${name}`), member, name, own: me, always: false, online, ready: i !== 3 }));
    const relay = { device: hex('relay'), member: '', name: '', own: false, always: true, online: true, ready: true };
    return this.#enlisted ? [...people, relay] : people;
  };

  async setWitnesses(id: string, devices: string[]) {
    const { view } = this.#get(id);
    view.witnesses = this.candidates(id).filter(({ device }) => devices.includes(device));
    view.quorum = quorumOf(devices.length);
    this.options.onChange('all');
    return hex(devices.join());
  }

  offerWitness = async (id: string) => hex(id);

  lostWitness = (id: string) => (words.has('lost') ? (this.#get(id).view.witnesses[0]?.device ?? '') : '');

  async replaceLostWitness(id: string) {
    const { view } = this.#get(id);
    const own = this.candidates(id).find((one) => one.own);
    if (own) view.witnesses = [own];
    this.options.onChange('all');
    return hex('renewal');
  }

  async enlistRelay(_id: string, token: string) {
    await pause(800);
    if (token === 'wrong') throw new LedgernoError('token-wrong');
    this.#enlisted = true;
    setTimeout(() => this.options.onChange('all'), 1500);
  }

  async dismissRelay() {
    await pause(300);
    this.#enlisted = false;
  }

  async consent(id: string, proposal: string) {
    const { view } = this.#get(id);
    view.proposals = view.proposals.map((one) => (one.id === proposal ? { ...one, consented: true, agreed: one.agreed + 1 } : one));
    this.options.onChange('all');
    return hex(proposal);
  }

  async revokeInvite(id: string, url: string) {
    const { view } = this.#get(id);
    view.invites = view.invites.filter((one) => one.url !== url);
    this.options.onChange('all');
    return hex(url);
  }

  phrase = async () => PHRASE;

  async restore() {
    await pause(500);
    return [this.#add(circle(japanese ? '三丁目の晩ごはん会' : 'Thursday supper club'))];
  }

  exportIdentity = async () => 'ledgerno key, mock';
  importIdentity = async (text: string) => {
    if (!text.startsWith('ledgerno')) throw new LedgernoError('import-malformed');
  };
  close = async () => {};

  #write(id: string, what: Partial<EntryView>): string {
    const held = this.#get(id);
    const written = entry(held.view.members[0] ?? member(0), Date.now(), { mine: true, status: 'here', ...what });
    held.entries.push(written);
    held.view.unsettled++;
    this.options.onChange('timeline');
    if (held.view.relay !== 'off') void this.#ripen(held, written);
    return written.id;
  }

  async #ripen(held: Held, written: EntryView, stamp?: StampView) {
    for (const step of [{ status: 'sent' }, { status: 'seen', seenBy: 1 }, { seenBy: 3 }, { status: 'settled' }] as const) {
      await pause(900);
      Object.assign(written, step);
      if (stamp) stamp.status = written.status;
      if (written.status === 'settled') {
        written.settledHeight = ++held.view.height;
        held.view.unsettled--;
        held.view.stateRoot = hex(`root${held.view.height}`);
      }
      this.options.onChange('all');
    }
  }
}

function member(i: number, name = names[i] ?? '?'): MemberView {
  return {
    id: ids[i] ?? hex(name),
    name,
    balance: [84, 131, 100, 65, 0][i] ?? 100,
    settled: i !== 4,
    me: i === 0,
    online: i < 3,
    void: null,
    founder: i === 0,
    forked: words.has('forked') && i === 3,
  };
}

function invite(uses: number, days: number): InviteView {
  const token = btoa(hex(String(Math.random()), 145)).slice(0, 262);
  return { url: `${location.origin}/#/join/${token}`, uses, left: uses - 2, expires: Date.now() + days * 864e5 };
}

const PHRASE =
  'abandon ability able about above absent absorb abstract absurd abuse access accident account accuse achieve acid acoustic acquire across act action actor actress zoo';
const quorumOf = (size: number) => Math.floor((size + Math.floor((size - 1) / 3)) / 2) + 1;

function stampOf(by: MemberView, hash: string, time: number, more: Partial<StampView>): StampView {
  return { id: hex(`stamp${made++}`), hash, note: '', member: by.id, name: by.name, mine: by.me, time, status: 'settled', vouchers: [], vouched: false, ...more };
}

/** SHA-256 in the place of BLAKE3: nothing here looks at more than its length. */
export const mockTools: ProofTools = {
  async hashFile(file) {
    await pause(300);
    const bytes = new Uint8Array(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()));
    return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  },
  readWords(text) {
    const typed = text.trim().split(/\s+/);
    if (typed.length !== 24) return { right: false, why: 'count', found: typed.length };
    if (!typed.includes('zoo')) return { right: false, why: 'unknown', place: 3, word: 'appel', near: ['apple'] };
    return { right: true, secret: new Uint8Array(32), member: hex('me') };
  },
  explain(proof) {
    const [, kind, hash] = /^ledgerno mock (\w+) (\w+)$/.exec(new TextDecoder().decode(proof)) ?? [];
    if (!hash) return { holds: false, why: 'no-proof-file', detail: '' };
    const [by = '', ...others] = names;
    const now = Date.now();
    const found: Finding = {
      holds: true,
      kind: 'stamp',
      circle: hex('circle'),
      circleName: japanese ? '三丁目の晩ごはん会' : 'Thursday supper club',
      name: by,
      member: hex('me'),
      device: hex('device'),
      time: now - 864e5,
      height: 8,
      vouchers: [],
      vouched: [],
      votes: 2,
      witnesses: 3,
      changes: 1,
      newest: { height: 9, hash: hex('newest'), time: now - 6e5 },
      limits: ['circle', 'names'],
    };
    if (kind === 'entry') {
      const text = japanese ? '鍋と大きいお玉を持っていきます。豆腐を買える人いますか?' : 'I bring the big pot and a ladle. Can somebody get tofu?';
      return { ...found, kind, entry: hash, seq: 4, written: now - 9e7, content: 'post', text, limits: ['circle', 'names', 'authors-clock', 'reading'] };
    }
    if (kind === 'fork') return { ...found, kind, seq: 4, entries: [hex('one'), hex('other')], name: others[2] ?? '' };
    const vouched = others.slice(0, 2).map((name) => ({ name, member: hex(name), device: hex(`d${name}`), height: 9, time: now - 8e5 }));
    return { ...found, hash, vouchers: vouched.map(({ name }) => name), vouched };
  },
};

let made = 0;
function entry(by: MemberView, time: number, more: Partial<EntryView>): EntryView {
  return {
    id: hex(`entry${made++}`),
    kind: 'post',
    member: by.id,
    name: by.name,
    mine: by.me,
    time,
    status: 'settled',
    seenBy: 0,
    settledHeight: 7,
    void: null,
    ...more,
  };
}

function circle(name: string, people = names): Held {
  const members = people.map((person, i) => member(i, person));
  if (words.has('long')) members[1] = { ...member(1), name: 'Wolfeschlegelsteinhausenbergerdorff-Papadopoulos the Third, Esq.' };
  const [a, b = a, c = a, d = a, e = a] = members as [MemberView, ...MemberView[]];
  const now = Date.now();
  const say = japanese
    ? ['鍋と大きいお玉を持っていきます。豆腐を買える人いますか?', '豆腐、買います。\nねぎも要りますか?\nレシピ: https://example.org/yudofu', 'お願いします!白菜はうちの畑のがあります。', '席を六つ用意しました。', '七時に着きます', '買い物、ぜんぶありがとう', '遅れるかも']
    : ['I bring the big pot and a ladle. Can somebody get tofu?', 'Tofu is on me.\nLeeks too?\nThe recipe: https://example.org/yudofu', 'Yes please! The cabbage comes from our garden.', 'Six chairs are ready.', 'I am there at seven', 'for all the shopping', 'I may be late'];
  const day = 864e5;
  let entries: EntryView[] = words.has('empty')
    ? [entry(a, now, { kind: 'join', status: 'here' })]
    : [
        entry(a, now - 2 * day, { kind: 'join' }),
        entry(a, now - 2 * day + 1e5, { kind: 'invite' }),
        entry(b, now - 2 * day + 2e6, { kind: 'join' }),
        entry(c, now - 2 * day + 3e6, { kind: 'join' }),
        entry(a, now - day - 9e6, { text: say[0] }),
        entry(b, now - day - 5e6, { text: say[1] }),
        entry(c, now - day - 4e6, { text: say[2] }),
        entry(d, now - day - 3e6, { text: say[3] }),
        entry(d, now - day - 29e5, { kind: 'thanks', to: b.id, toName: b.name, amount: 400, reason: say[5], void: 'balance-too-low' }),
        entry(a, now - 8e5, { kind: 'thanks', to: b.id, toName: b.name, amount: 16, reason: say[5] }),
        entry(e, now - 7e5, { kind: 'join', status: 'seen', seenBy: 2, settledHeight: null }),
        entry(b, now - 5e5, { text: say[4], status: 'seen', seenBy: 3, settledHeight: null }),
        entry(d, now - 4e5, { kind: 'sealed', status: 'sent', settledHeight: null }),
        entry(a, now - 2e5, { text: say[6], status: 'sent', settledHeight: null }),
        entry(a, now - 1e5, { text: words.has('long') ? 'long '.repeat(40) + 'x'.repeat(300) : say[4], status: 'here', settledHeight: null }),
      ];
  if (words.has('many')) {
    const old = Array.from({ length: 350 }, (_, i) =>
      entry(members[(i >> 2) % 4] ?? a, now - 9 * day + i * 9e5, { text: `${say[i % 5]} (${i})` }),
    );
    entries = [...old, ...entries];
  }
  const device = (seed: string, more: Partial<DeviceView> = {}): DeviceView => ({
    id: hex(seed),
    own: false,
    online: true,
    settled: true,
    retired: false,
    witness: false,
    ...more,
  });
  const witness = (at: MemberView, more: Partial<WitnessView> = {}): WitnessView => ({
    device: hex(`d${at.name}`),
    member: at.id,
    name: at.name,
    own: at.me,
    always: false,
    online: at.me || at.online,
    ...more,
  });
  const relay: WitnessView = { device: hex('relay'), member: '', name: '', own: false, always: true, online: !words.has('asleep') };
  const witnesses = words.has('witnesses') || words.has('asleep') ? [witness(a), witness(c, { online: !words.has('asleep') }), relay] : [witness(a)];
  if (words.has('friend')) Object.assign(a, { founder: false }) && Object.assign(b, { founder: true });
  return {
    entries,
    stamps: words.has('empty')
      ? []
      : [
          stampOf(b, hex('receipt'), now - 3 * day, { vouchers: [{ member: c.id, name: c.name }] }),
          stampOf(a, hex('will'), now - day, { mine: true, note: japanese ? '味噌仕込みの記録.pdf' : 'The big pot, receipt.pdf', vouchers: [b, c].map(({ id, name }) => ({ member: id, name })) }),
        ],
    devices: new Map(
      members.map((one) => [
        one.id,
        [
          device(`d${one.name}`, { own: one.me, online: one.online || one.me, witness: one.me }),
          ...(one.me || one === b ? [device(`d2${one.name}`, { online: false }), device(`d3${one.name}`, { online: false, retired: true })] : []),
        ],
      ]),
    ),
    view: {
      allowance: 20,
      witnesses,
      quorum: quorumOf(witnesses.length),
      proposals: words.has('proposals')
        ? [
            { id: hex('p1'), kind: 'witnesses', name: b.name, mine: false, promote: [c.name, ''], demote: [], agreed: 1, needed: 3, consented: false },
            { id: hex('p2'), kind: 'remove', name: c.name, mine: false, subject: d.name, agreed: 2, needed: 3, consented: true },
          ]
        : [],
      id: hex(name),
      name,
      me: a.id,
      balance: a.balance,
      height: 7,
      headerHash: hex('header'),
      stateRoot: hex('root'),
      entries: entries.length,
      keptElsewhere: words.has('pruned') ? 1200 : 0,
      unsettled: 4,
      members,
      peers: words.has('off')
        ? []
        : [
            { id: hex('relay'), name: '', path: 'relay', by: '', since: now - 4e6, why: '', way: '', tried: null },
            { id: b.id, name: b.name, path: 'direct', by: '', since: now - 3e6, why: '', way: '', tried: null },
            { id: c.id, name: c.name, path: 'relayed', by: '', since: now - 2e5, why: 'no-way', way: 'direct', tried: now - 5e4 },
            { id: d.id, name: d.name, path: 'relayed', by: b.name, since: now - 1e5, why: '', way: '', tried: null },
            { id: e.id, name: e.name, path: 'heard', by: '', since: now - 6e4, why: 'not-there', way: 'circuit', tried: now - 3e4 },
          ],
      invites: [invite(10, 7)],
      alerts: words.has('refused') ? [{ code: 'settlement-refused', facts: { height: 8 } }] : [],
      relay: words.has('off') ? 'off' : 'connected',
      syncing: words.has('syncing'),
      joined: true,
    },
  };
}
