/** ledgerno/proof: verifies proof files, hashes documents and checks the 24 words. No node, and a module of its own. */
import init, { beginning, Hasher, make, secret, verify, words } from '#proof';

/** What a proof file proves. Names and texts come from strangers. */
export interface Finding {
  holds: true;
  kind: 'header' | 'member' | 'no-member' | 'entry' | 'fork' | 'stamp';
  /** The circle's id, hex, and its name: anybody can give a circle that name, so compare the id. */
  circle: string;
  circleName: string;
  /** Who it is about, by the name that they gave; of a stamp or an entry, who made it. '' where nobody is named. */
  name: string;
  member?: string;
  device?: string;
  /** The height at which that member was removed. */
  removed?: number;
  /**
   * When it was settled: height, and that header's time in milliseconds since 1970. Of a member or none, a header and a fork:
   * the newest header, under which it holds. 0 where no header is needed.
   */
  height: number;
  time: number;
  /** BLAKE3 of the document, hex: of a stamp. */
  hash?: string;
  /** Who vouched for the document, by name; and in full. */
  vouchers: string[];
  vouched: { name: string; member: string; device: string; removed?: number; height: number; time: number }[];
  /** The entry, hex; of a fork both. */
  entry?: string;
  entries?: string[];
  /** The place in the device's chain; of an entry or a fork. */
  seq?: number;
  /** The author's clock, milliseconds since 1970. */
  written?: number;
  /** Of an entry: what it says, if the file shows it. */
  content?: 'sealed' | 'unknown' | 'post' | 'thanks' | 'stamp' | 'operation';
  /** Of an operation that is neither thanks nor stamp: its kind. */
  operation?: Operation;
  text?: string;
  to?: string;
  amount?: number;
  /** Of a header: how many entries it settled. */
  count?: number;
  /** Of a member: the height at which they came, and their points. */
  joined?: number;
  points?: number;
  /** So many of so many witnesses settled the newest header, and they changed so often since the start. */
  votes: number;
  witnesses: number;
  changes: number;
  newest?: { height: number; hash: string; time: number };
  /** The header that it starts from; absent: the genesis. */
  pinned?: { height: number; hash: string };
  /** What it does not say. */
  limits: Limit[];
}

export type Operation =
  | 'join'
  | 'enrol'
  | 'invite'
  | 'thanks'
  | 'revoke'
  | 'retire'
  | 'epoch'
  | 'keys'
  | 'lacking'
  | 'ready'
  | 'resign'
  | 'evidence'
  | 'propose'
  | 'consent'
  | 'stamp'
  | 'vouch'
  | 'merge';

export type Limit =
  'circle' | 'pinned' | 'sole-witness' | 'names' | 'authors-clock' | 'reading' | 'effect' | 'no-author';

/** Why a file proves nothing. */
export interface NoFinding {
  holds: false;
  why: 'no-proof-file' | 'newer' | 'damaged' | 'forged';
  detail: string;
}

/** What 24 words are, or what is wrong with them. */
export type Words =
  | { right: true; secret: Uint8Array; member: string }
  | { right: false; why: 'too-long' | 'checksum' }
  | { right: false; why: 'count'; found: number }
  | { right: false; why: 'unknown'; place: number; word: string; near: string[] };

export interface ProofModule {
  /** What a proof file proves; null when it proves nothing (`explain` says why). */
  verify(file: Uint8Array): Finding | null;
  explain(file: Uint8Array): Finding | NoFinding;
  /** The proof file of what a node gave for it; undefined where that makes none. `Node.proof` calls it. */
  make(parts: Uint8Array): Uint8Array<ArrayBuffer> | undefined;
  /** BLAKE3 of a file of any size, hex. It is read in pieces. */
  hashFile(file: Blob, onProgress?: (done: number, total: number) => void): Promise<string>;
  /** The 24 words of 32 secret bytes. */
  words(secret: Uint8Array): string | undefined;
  /** The secret bytes of 24 words, whatever stands between them. */
  readWords(text: string): Words;
  /** Words of the list to choose from while one is typed. */
  beginning(typed: string, most: number): string[];
}

let loading: Promise<ProofModule> | undefined;

/** Loads the module once; `source` is for where `fetch` cannot read it. */
export function loadProof(source?: BufferSource | Response): Promise<ProofModule> {
  loading ??= load(source).catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function load(source: BufferSource | Response | undefined): Promise<ProofModule> {
  const url = new URL('../pkg-proof/ledgerno_proof_bg.wasm', import.meta.url);
  await init({ module_or_path: source ?? fetch(url) });
  return {
    explain: verify,
    verify(file) {
      const found = verify(file);
      return found.holds ? found : null;
    },
    make,
    hashFile,
    words,
    readWords: secret,
    beginning,
  };
}

async function hashFile(file: Blob, onProgress?: (done: number, total: number) => void): Promise<string> {
  const hasher = new Hasher();
  try {
    const reader = file.stream().getReader();
    let done = 0;
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      hasher.update(piece.value);
      done += piece.value.length;
      onProgress?.(done, file.size);
    }
    return hasher.hex();
  } finally {
    hasher.free();
  }
}
