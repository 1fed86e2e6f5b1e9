/** The seam to crates/wasm: what `WasmNode` must look like, and how it is loaded. */
import init, { WasmNode } from '#wasm';
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
import { LedgernoError } from './error';

/** What is asked of the settled state, and what the answer is; beside each, what it is about. */
export interface Answers {
  /** `lately`: of 30 days; '': in all. */
  ranking: RankView[];
  stamps: StampView[];
  /** A member. */
  devices: DeviceView[];
  candidates: CandidateView[];
  /** A device, or ''. */
  lost: string;
  rules: RulesView;
}

/** What is written beside posts, thanks and invites, about: a document's hash, a link, a device, a member, an entry, devices. */
export type Act = 'stamp' | 'revoke' | 'vouch' | 'retire' | 'erase' | 'remove' | 'ready' | 'renew' | 'consent' | 'resign' | 'epoch' | 'rules' | 'witnesses';

/** What a proof file can be about: an entry, a member (is one, or is none), a document by its hash, a member of whom a device forked. */
export type Provable = 'entry' | 'member' | 'stamp' | 'fork';

/** Every method throws (or rejects with) `{code: ErrorCode, facts}`. */
export interface WasmNodeLike {
  circles(): CircleInfo[];
  startCircle(name: string, yourName: string, token: string, readable: boolean): Promise<string>;
  preview(inviteToken: string): Promise<InvitePreview>;
  join(inviteToken: string, yourName: string): Promise<string>;
  circle(id: string): CircleView;
  timeline(id: string, limit: number): EntryView[];
  post(id: string, text: string): Promise<string>;
  thank(id: string, to: string, amount: number, reason: string): Promise<string>;
  invite(id: string, uses: number, days: number): Promise<InviteView>;
  proof(id: string, what: Provable, about: string): Uint8Array<ArrayBuffer>;
  ask<What extends keyof Answers>(id: string, what: What, about: string): Answers[What];
  /** Writes; resolves with the entry's id once it is *here*. */
  act(id: string, what: Act, about: string, note: string): Promise<string>;
  enlist(id: string, token: string, votes: boolean): Promise<void>;
  secret(): Uint8Array;
  restore(secret: Uint8Array): Promise<string[]>;
  exportIdentity(): Promise<string>;
  importIdentity(text: string): Promise<void>;
  /** The page woke up, or is online again: links may be dead without saying so. */
  wake(): void;
  close(): Promise<void>;
  free?(): void;
}

export interface WasmNodeClass {
  open(options: WasmOpenOptions): Promise<WasmNodeLike>;
}

export interface WasmOpenOptions {
  relay: RelayInfo | undefined;
  /** Invite links are this address, `#/join/` and the token. */
  page: string;
  /** Days; what is no number is the circles' rules. */
  retention?: number;
  joinFrom?: number;
  iceServers: string[];
  /** May be called from within any other call: it only notes that something changed. */
  onChange: (what: Change) => void;
  onProgress: (step: 'store' | 'connect') => void;
}

/** Brotli's ratio on this module; a browser reports the packed length but counts unpacked bytes. */
const PACKED_RATIO = 3;

let loading: Promise<WasmNodeClass> | undefined;

/** Loads the module once, however often a node is opened in this page. */
export function loadWasm(onProgress: (progress: Progress) => void): Promise<WasmNodeClass> {
  loading ??= load(onProgress).catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function load(onProgress: (progress: Progress) => void): Promise<WasmNodeClass> {
  const url = new URL('../pkg/ledgerno_wasm_bg.wasm', import.meta.url);
  await init({ module_or_path: await download(url, onProgress) });
  return WasmNode;
}

async function download(url: URL, onProgress: (progress: Progress) => void): Promise<Response> {
  onProgress({ step: 'download', loaded: 0 });
  const response = await fetch(url).catch(() => undefined);
  if (!response?.ok || !response.body) throw new LedgernoError('relay-unreachable', { url: url.host });

  const length = Number(response.headers.get('content-length')) || undefined;
  const total = length && length * (response.headers.has('content-encoding') ? PACKED_RATIO : 1);
  let loaded = 0;
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, out) {
      loaded += chunk.length;
      onProgress({ step: 'download', loaded, total: total && Math.max(total, loaded) });
      out.enqueue(chunk);
    },
  });
  return new Response(response.body.pipeThrough(counter), { headers: { 'content-type': 'application/wasm' } });
}
