/**
 * A stand-in for the node, to draw screens without wasm: `npx vite`, then `/?mock=circle`. Never part of a build.
 * `?mock=` takes words: circle, two (circles), many (entries), empty, off, refused, tab, loading, long, insecure.
 */
import { LedgernoError, type CircleView, type EntryView, type InviteView, type MemberView, type OpenOptions } from 'ledgerno';
import type { NodeLike } from './session.svelte';

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
      left: 8,
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

  async #ripen(held: Held, written: EntryView) {
    for (const step of [{ status: 'sent' }, { status: 'seen', seenBy: 1 }, { seenBy: 3 }, { status: 'settled' }] as const) {
      await pause(900);
      Object.assign(written, step);
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
  return {
    entries,
    view: {
      id: hex(name),
      name,
      me: a.id,
      balance: a.balance,
      height: 7,
      headerHash: hex('header'),
      stateRoot: hex('root'),
      entries: entries.length,
      unsettled: 4,
      members,
      peers: words.has('off')
        ? []
        : [
            { id: hex('relay'), name: '', path: 'relay', since: now - 4e6 },
            { id: b.id, name: b.name, path: 'direct', since: now - 3e6 },
            { id: c.id, name: c.name, path: 'relayed', since: now - 2e5 },
          ],
      invites: [invite(10, 7)],
      alerts: words.has('refused') ? [{ code: 'settlement-refused', facts: { height: 8 } }] : [],
      relay: words.has('off') ? 'off' : 'connected',
      syncing: words.has('syncing'),
      joined: true,
    },
  };
}
