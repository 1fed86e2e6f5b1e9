/**
 * One node a profile. Two nodes on one store would sign two entries at one place, which is a fork, so a tab claims the
 * profile before it opens the store, and gives it up only after its node has closed.
 *
 * By Web Locks where the origin has them; by asking around on a BroadcastChannel where it has not.
 */

const NAME = 'ledgerno-profile';
/** How long a silent holder has to close its node before its claim is taken anyway (it is frozen or hung). */
const PATIENCE_MS = 4000;
/** How long a tab waits for a holder that may just be closing. */
const GRACE_MS = 1000;
/** How long a tab without Web Locks listens for a holder. */
const LISTEN_MS = 300;

export interface Claim {
  /** Gives the profile up. To be called after the node has closed. */
  release(): void;
}

export interface ClaimOptions {
  /** Ask the tab that holds the profile to give it up, and wait until it does. */
  takeOver?: boolean;
  /** Another tab takes over: close the node. The claim ends when the promise does. */
  onTakenOver: () => void | Promise<void>;
}

/** The profile, or null when another tab holds it. */
export async function claimProfile(options: ClaimOptions): Promise<Claim | null> {
  return 'locks' in navigator ? claimByLock(options) : claimByAsking(options);
}

async function claimByLock({ takeOver, onTakenOver }: ClaimOptions): Promise<Claim | null> {
  const lock = await requestLock(takeOver);
  if (!lock) return null;

  const channel = new BroadcastChannel(NAME);
  let ended = false;
  const release = () => {
    if (ended) return;
    ended = true;
    channel.close();
    lock.release();
  };
  channel.onmessage = async ({ data }) => {
    if (data?.ask !== 'give-up' || ended) return;
    try {
      await onTakenOver();
    } finally {
      release();
    }
  };
  lock.stolen.then(() => {
    if (!ended) void onTakenOver();
    release();
  });
  return { release };
}

interface HeldLock {
  release: () => void;
  /** Resolves when another tab lost patience and stole the lock. */
  stolen: Promise<void>;
}

async function requestLock(ask = false): Promise<HeldLock | null> {
  const asking = ask ? new BroadcastChannel(NAME) : null;
  asking?.postMessage({ ask: 'give-up' });
  try {
    for (;;) {
      try {
        return await holdLock({ signal: AbortSignal.timeout(ask ? PATIENCE_MS : GRACE_MS) });
      } catch (error) {
        if (ask) return await holdLock({ steal: true });
        if (!(error instanceof DOMException && error.name === 'TimeoutError')) throw error;
        // Whoever still holds it after the grace is there to stay. What nobody holds is late: the machine is busy.
        if (await isHeld()) return null;
      }
    }
  } finally {
    asking?.close();
  }
}

const isHeld = async () => (await navigator.locks.query()).held?.some(({ name }) => name === NAME);

function holdLock(options: LockOptions): Promise<HeldLock | null> {
  return new Promise((resolve, reject) => {
    let held = false;
    let stolen: () => void = () => {};
    const whenStolen = new Promise<void>((done) => (stolen = done));
    navigator.locks
      .request(NAME, options, (lock) => {
        if (!lock) return resolve(null);
        held = true;
        return new Promise<void>((release) => resolve({ release, stolen: whenStolen }));
      })
      .catch((error) => (held ? stolen() : reject(error)));
  });
}

/**
 * Without Web Locks: who holds the profile answers `held`. Of two that ask at once the lower id wins. A holder that is
 * frozen does not answer; when it wakes, the `give-up` that waits for it comes first.
 */
async function claimByAsking({ takeOver, onTakenOver }: ClaimOptions): Promise<Claim | null> {
  const id = randomId();
  const channel = new BroadcastChannel(NAME);
  let state: 'asking' | 'held' | 'ended' = 'asking';
  let refused: (by: string) => void = () => {};

  const release = () => {
    if (state === 'ended') return;
    channel.postMessage({ say: 'free', id });
    state = 'ended';
    channel.close();
  };
  const giveUp = async () => {
    try {
      await onTakenOver();
    } finally {
      release();
    }
  };

  const freed = new Set<string>();
  let onFree: () => void = () => {};
  channel.onmessage = ({ data }) => {
    if (typeof data?.id !== 'string' || data.id === id) return;
    if (data.ask === 'who' && state === 'held') channel.postMessage({ say: 'held', id });
    if (data.ask === 'who' && state === 'asking' && id < data.id) channel.postMessage({ say: 'held', id });
    if (data.ask === 'give-up' && state === 'held') void giveUp();
    if (data.say === 'held' && state === 'asking') refused(data.id);
    if (data.say === 'held' && state === 'held') {
      if (data.id < id) void giveUp();
      else channel.postMessage({ say: 'held', id });
    }
    if (data.say === 'free') {
      freed.add(data.id);
      onFree();
    }
  };

  const holder = await new Promise<string | null>((resolve) => {
    refused = resolve;
    channel.postMessage({ ask: 'who', id });
    setTimeout(() => resolve(null), LISTEN_MS);
  });
  if (holder && !takeOver) {
    state = 'ended';
    channel.close();
    return null;
  }
  if (holder) {
    channel.postMessage({ ask: 'give-up', id });
    await new Promise<void>((resolve) => {
      onFree = () => freed.has(holder) && resolve();
      onFree();
      setTimeout(resolve, PATIENCE_MS);
    });
  }
  state = 'held';
  channel.postMessage({ say: 'held', id });
  return { release };
}

function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(2)), (word) => word.toString(16).padStart(8, '0')).join('');
}
