import { claimProfile, type Claim } from './claim';
import { LedgernoError } from './error';
import { loadWasm, type Provable, type WasmNodeLike } from './glue';
import type {
  CandidateView,
  Change,
  CircleInfo,
  CircleView,
  DeviceView,
  EntryView,
  InvitePreview,
  InviteView,
  Progress,
  RankView,
  RelayInfo,
  RulesView,
  StampView,
} from './types';

export interface OpenOptions {
  relay?: RelayInfo;
  /** The address that invite links begin with; by default what the relay says, or where this page came from. */
  page?: string;
  /**
   * For how many days this device keeps what is settled, in place of the circles' rules (which keep it for ever unless they
   * say otherwise); 0: no longer than it must. Only what the circle's relay keeps is let go, never one's own entries; it is
   * fetched again to be shown. May differ at each start; what was let go does not come back to the device.
   */
  retention?: number;
  /**
   * From how many settled heights on a circle is joined by a snapshot instead of its whole history; 20,000 by default. What
   * was before is fetched to be shown.
   */
  joinFrom?: number;
  /**
   * STUN and TURN servers, `stun:host:port` or `turn:host:port name password` each; by default those that the relay names.
   * Without any, only friends in one network link directly.
   */
  iceServers?: string[];
  /** Read the views again. Never called within one of this node's own calls. */
  onChange: (what: Change) => void;
  onProgress?: (progress: Progress) => void;
  /** Another tab became the node of this profile; this one is closed. */
  onTakenOver?: () => void;
  /** Become the node even if another tab is. Without it `open` throws `other-tab` then. */
  takeOver?: boolean;
}

export const INVITE_USES = 10;
export const INVITE_DAYS = 7;

/** A node in this page. Every method throws `LedgernoError`. */
export class Node {
  readonly #wasm: WasmNodeLike;
  readonly #claim: Claim;
  readonly #closed = new AbortController();
  #closing: Promise<void> | undefined;

  private constructor(wasm: WasmNodeLike, claim: Claim) {
    this.#wasm = wasm;
    this.#claim = claim;
    const { signal } = this.#closed;
    const wake = () => document.visibilityState === 'visible' && this.#call(() => wasm.wake());
    document.addEventListener('visibilitychange', wake, { signal });
    addEventListener('pageshow', wake, { signal });
    addEventListener('online', wake, { signal });
  }

  /** Claims the profile, opens its store and starts to connect. Throws `other-tab` if another tab is the node. */
  static async open(options: OpenOptions): Promise<Node> {
    const onProgress = options.onProgress ?? (() => {});
    let takenOver = false;
    let opening: Promise<Node> | undefined;
    const onTakenOver = async () => {
      takenOver = true;
      // A store half opened is waited for: only a closed node gives the profile up.
      const node = await opening?.catch(() => undefined);
      try {
        await node?.close();
      } finally {
        options.onTakenOver?.();
      }
    };

    const loading = loadWasm(onProgress);
    loading.catch(() => {}); // awaited below, after the claim
    const claim = await claimProfile({ takeOver: options.takeOver, onTakenOver });
    if (!claim) throw new LedgernoError('other-tab');

    opening = (async () => {
      const wasm = await (await loading).open({
        relay: options.relay,
        page: options.page ?? options.relay?.page ?? `${location.origin}/`,
        retention: options.retention,
        joinFrom: options.joinFrom ?? options.relay?.joinFrom,
        iceServers: options.iceServers ?? options.relay?.iceServers ?? [],
        onChange: (what) => queueMicrotask(() => options.onChange(what)),
        onProgress: (step) => onProgress({ step }),
      });
      return new Node(wasm, claim);
    })();
    try {
      const node = await opening;
      if (!takenOver) return node;
    } catch (error) {
      claim.release();
      throw LedgernoError.from(error);
    }
    throw new LedgernoError('other-tab');
  }

  circles(): CircleInfo[] {
    return this.#call(() => this.#wasm.circles());
  }

  /**
   * Founds a circle, registers it with the relay by the owner's token, makes a first invite; returns its id. Of a `readable`
   * one the keys are published: the relay and whoever else has a copy read all that is ever written in it.
   */
  startCircle(o: { name: string; yourName: string; token: string; readable?: boolean }): Promise<string> {
    return this.#wait(() => this.#wasm.startCircle(o.name, o.yourName, o.token, o.readable ?? false));
  }

  /** What an invite leads to, without using it. */
  preview(inviteToken: string): Promise<InvitePreview> {
    return this.#wait(() => this.#wasm.preview(inviteToken));
  }

  /** Returns the circle's id once this device's join is durable here. */
  join(inviteToken: string, yourName: string): Promise<string> {
    return this.#wait(() => this.#wasm.join(inviteToken, yourName));
  }

  circle(id: string): CircleView {
    return this.#call(() => this.#wasm.circle(id));
  }

  /** The newest `limit` entries, newest last. Older ones may have to be read: then fewer come, and `onChange` follows. */
  timeline(id: string, limit: number): EntryView[] {
    return this.#call(() => this.#wasm.timeline(id, limit));
  }

  /** Returns the entry's id once it is *here*. */
  post(id: string, text: string): Promise<string> {
    return this.#wait(() => this.#wasm.post(id, text));
  }

  /** Erases an own post: whoever hears of it gives its text up; that it was there stays. */
  erase(id: string, entry: string): Promise<string> {
    return this.#wait(() => this.#wasm.act(id, 'erase', entry, ''));
  }

  /** Sends points with a reason; returns the entry's id once it is *here*. */
  thank(id: string, to: string, amount: number, reason: string): Promise<string> {
    return this.#wait(() => this.#wasm.thank(id, to, amount, reason));
  }

  invite(id: string, o: { uses?: number; days?: number } = {}): Promise<InviteView> {
    return this.#wait(() => this.#wasm.invite(id, o.uses ?? INVITE_USES, o.days ?? INVITE_DAYS));
  }

  /** Who was thanked how much, most first: in all, or within so many days. Settled thanks alone. */
  ranking(id: string, days: 30 | null): RankView[] {
    return this.#call(() => this.#wasm.ask(id, 'ranking', days ? 'lately' : ''));
  }

  /** Own ones on their way, then the settled ones, newest first. */
  stamps(id: string): StampView[] {
    return this.#call(() => this.#wasm.ask(id, 'stamps', ''));
  }

  /** Stamps a document by its BLAKE3, hex, with a note for the members; returns the entry's id once it is *here*. */
  stamp(id: string, hash: string, note: string): Promise<string> {
    return this.#wait(() => this.#wasm.act(id, 'stamp', hash, note));
  }

  /** Vouches for a document that another stamped. */
  vouch(id: string, hash: string): Promise<string> {
    return this.#wait(() => this.#wasm.act(id, 'vouch', hash, ''));
  }

  /**
   * A proof file, which `ledgerno/proof` verifies: of a settled `entry` with what it says, of whether somebody is a `member`,
   * of a settled `stamp` by the document's BLAKE3, or that a device of a member did `fork`. Throws `not-here` while what it
   * takes is read or fetched: `onChange` says when to try again.
   */
  async proof(id: string, what: Provable, about: string): Promise<Uint8Array<ArrayBuffer>> {
    const { make } = await proofTools();
    const file = make(this.#call(() => this.#wasm.proof(id, what, about)));
    if (!file) throw new LedgernoError('no-proof');
    return file;
  }

  rules(id: string): RulesView {
    return this.#call(() => this.#wasm.ask(id, 'rules', ''));
  }

  devices(id: string, member: string): DeviceView[] {
    return this.#call(() => this.#wasm.ask(id, 'devices', member));
  }

  /** Gives an own device up, and changes the keys, so that it reads nothing that is written from then on. */
  retireDevice(id: string, device: string): Promise<string> {
    return this.#wait(() => this.#wasm.act(id, 'retire', device, ''));
  }

  /** Changes the numbers that the circle plays by. Done at once if this person is the founder, else proposed. */
  changeRules(id: string, { grant, allowance, reward, inviters, retention }: Omit<RulesView, 'readable'>): Promise<string> {
    const numbers = [grant, allowance, reward, retention].map((n) => n.toString(16).padStart(16, '0'));
    return this.#wait(() => this.#wasm.act(id, 'rules', numbers.join(''), inviters === 'founder' ? inviters : ''));
  }

  /** Fresh keys for all devices: whoever else came to hold the old ones reads nothing that is written from then on. */
  changeKeys(id: string): Promise<string> {
    return this.#wait(() => this.#wasm.act(id, 'epoch', '', ''));
  }

  /** Done at once if this person is the founder, else proposed. */
  removeMember(id: string, member: string): Promise<string> {
    return this.#wait(() => this.#wasm.act(id, 'remove', member, ''));
  }

  /** Witnesses, and who could be one. */
  candidates(id: string): CandidateView[] {
    return this.#call(() => this.#wasm.ask(id, 'candidates', ''));
  }

  /** This device offers itself as a witness. */
  offerWitness(id: string): Promise<string> {
    return this.#wait(() => this.#wasm.act(id, 'ready', '', ''));
  }

  /** This device is no witness any more. The last one stays. */
  resignWitness(id: string): Promise<string> {
    return this.#wait(() => this.#wasm.act(id, 'resign', '', ''));
  }

  /**
   * By its owner's token, gives the circle's relay what it needs to vote: never the key of posts. It offers itself then,
   * and is among the candidates once that is settled. May be said again.
   */
  enlistRelay(id: string, token: string): Promise<void> {
    return this.#wait(() => this.#wasm.enlist(id, token, true));
  }

  /** Has the relay forget what it was given. Throws `busy` while it is a witness. */
  dismissRelay(id: string, token: string): Promise<void> {
    return this.#wait(() => this.#wasm.enlist(id, token, false));
  }

  /** The sole witness, if it is another device and this one, the founder's, may settle in its place; else ''. */
  lostWitness(id: string): string {
    return this.#call(() => this.#wasm.ask(id, 'lost', ''));
  }

  /** Settles from now on in the place of a sole witness that is lost for good: what it settled alone meanwhile is void. */
  replaceLostWitness(id: string): Promise<string> {
    return this.#wait(() => this.#wasm.act(id, 'renew', '', ''));
  }

  /** This person is for a proposal. */
  consent(id: string, proposal: string): Promise<string> {
    return this.#wait(() => this.#wasm.act(id, 'consent', proposal, ''));
  }

  /** Names the whole set of witnesses anew. Done at once if this person is the founder, else proposed. */
  setWitnesses(id: string, devices: string[]): Promise<string> {
    return this.#wait(() => this.#wasm.act(id, 'witnesses', devices.join(' '), ''));
  }

  /** Takes back an invite that this device gave. */
  revokeInvite(id: string, url: string): Promise<string> {
    return this.#wait(() => this.#wasm.act(id, 'revoke', url, ''));
  }

  /** The identity as 24 words. Who has them, is this person. */
  async phrase(): Promise<string> {
    const { words } = await proofTools();
    const secret = this.#call(() => this.#wasm.secret());
    const phrase = words(secret);
    secret.fill(0);
    if (phrase === undefined) throw new LedgernoError('internal', { detail: 'an identity of another length' });
    return phrase;
  }

  /** Becomes the person of 24 words, with what this page's relay keeps for them; returns the circles' ids. */
  async restore(words: string): Promise<string[]> {
    const read = (await proofTools()).readWords(words);
    if (!read.right) throw new LedgernoError('words-wrong');
    return this.#wait(() => this.#wasm.restore(read.secret)).finally(() => read.secret.fill(0));
  }

  /** Identity secret, circles, relays and lane keys as text. Who has it, is this person. */
  exportIdentity(): Promise<string> {
    return this.#wait(() => this.#wasm.exportIdentity());
  }

  importIdentity(text: string): Promise<void> {
    return this.#wait(() => this.#wasm.importIdentity(text));
  }

  /** Ends the node, then gives up the profile. May be called more than once. */
  close(): Promise<void> {
    this.#closed.abort();
    this.#closing ??= this.#wait(() => this.#wasm.close()).finally(() => this.#claim.release());
    return this.#closing;
  }

  #call<T>(ask: () => T): T {
    try {
      return ask();
    } catch (error) {
      throw LedgernoError.from(error);
    }
  }

  async #wait<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw LedgernoError.from(error);
    }
  }
}

/** What makes proofs, and the list of words, is in the module that few pages need. */
async function proofTools() {
  const { loadProof } = await import('./verify');
  return loadProof();
}
