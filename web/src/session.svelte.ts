/** The one state of the page: the node, what it shows, and where the person is. */
import {
  LedgernoError,
  Node,
  relayOfPage,
  type CircleInfo,
  type CircleView,
  type EntryView,
  type OpenOptions,
  type Progress,
} from 'ledgerno';
import type { ProofModule } from 'ledgerno/proof';
import { remember, remembered } from './memory';
import { routeOf, type Route } from './route';

/** How many entries are shown at first, and how many more each time. */
export const PAGE = 100;
/** While much arrives the page is drawn again at most this often. */
const REDRAW_MS = 40;

/** The node as the page uses it. */
export type NodeLike = Pick<Node, keyof Node>;
/** The part of `ledgerno/proof` that the page uses. */
export type ProofTools = Pick<ProofModule, 'hashFile' | 'explain' | 'readWords'>;
type Opener = (options: OpenOptions) => Promise<NodeLike>;

type Phase = 'loading' | 'open' | 'other-tab' | 'taken-over' | 'failed';

class Session {
  phase = $state.raw<Phase>('loading');
  progress = $state.raw<Progress>({ step: 'download', loaded: 0 });
  failure = $state.raw<LedgernoError | null>(null);

  route = $state.raw<Route>({ at: 'home' });
  ownerToken = $state.raw(remembered('owner'));

  circles = $state.raw<CircleInfo[]>([]);
  view = $state.raw<CircleView | null>(null);
  entries = $state.raw<EntryView[]>([]);
  limit = $state.raw(PAGE);

  #node: NodeLike | undefined;
  #drawn = 0;
  #drawing: number | undefined;

  /** What checks proofs and hashes documents: a module of its own, loaded when it is first needed. */
  async proofTools(): Promise<ProofTools> {
    if (import.meta.env.DEV && mocked) return (await import('./mock')).mockTools;
    return (await import('ledgerno/proof')).loadProof();
  }

  get node(): NodeLike {
    if (!this.#node) throw new LedgernoError('internal', { detail: 'no node' });
    return this.#node;
  }

  async open(takeOver = false) {
    this.phase = 'loading';
    this.failure = null;
    this.followAddress();
    const options: OpenOptions = {
      relay: relayOfPage(),
      // Days; no number is the circle's rules.
      retention: Number(remembered('keep') ?? NaN),
      takeOver,
      onChange: () => this.#changed(),
      onProgress: (progress) => (this.progress = progress),
      onTakenOver: () => {
        this.#node = undefined;
        this.phase = 'taken-over';
      },
    };
    try {
      this.#node = await (await opener())(options);
      this.phase = 'open';
      this.refresh();
    } catch (error) {
      this.failure = LedgernoError.from(error);
      this.phase = this.failure.code === 'other-tab' ? 'other-tab' : 'failed';
    }
  }

  followAddress() {
    const route = routeOf(location.hash);
    if (route.at === 'owner') {
      this.ownerToken = route.token;
      // Kept over a reload; but one that has started a circle is not given up for one that has not.
      if (!remembered('owner')) remember('owner', route.token);
      this.go({ at: 'home' });
    } else {
      this.route = route;
    }
  }

  go(route: { at: 'home' } | { at: 'new' }) {
    history.replaceState(null, '', route.at === 'home' ? location.pathname + location.search : '#/new');
    this.route = route;
  }

  /** Shows a circle of this person's. */
  enter(circle: string) {
    remember('circle', circle);
    this.limit = PAGE;
    this.go({ at: 'home' });
    this.refresh(circle);
    // So that a browser short of space does not clear this one first. It answers in its own time.
    navigator.storage?.persist?.().catch(() => false);
  }

  /** Whether this person's join to a circle is here, settled or not. */
  isIn(circle: string): boolean {
    return this.circles.some(({ id }) => id === circle) && this.node.circle(circle).members.some(({ me }) => me);
  }

  showOlder() {
    this.limit += PAGE;
    this.refresh();
  }

  /** Draws at once when little happens, and at most every `REDRAW_MS` when much does. */
  #changed() {
    if (this.#drawing !== undefined) return;
    const wait = this.#drawn + REDRAW_MS - performance.now();
    if (wait <= 0) return this.refresh();
    this.#drawing = window.setTimeout(() => {
      this.#drawing = undefined;
      this.refresh();
    }, wait);
  }

  /** Reads what is shown from the node again. */
  refresh(circle?: string) {
    const node = this.#node;
    if (!node) return;
    this.#drawn = performance.now();
    try {
      this.circles = node.circles();
      const wanted = circle ?? this.view?.id ?? remembered('circle');
      const shown = this.circles.find(({ id }) => id === wanted) ?? this.circles[0];
      this.view = shown ? node.circle(shown.id) : null;
      const entries = shown ? node.timeline(shown.id, this.limit) : [];
      // Old ones that left the memory stay on the screen while they are read again.
      const above = entries.length < this.limit ? this.entries.findIndex(({ id }) => id === entries[0]?.id) : 0;
      this.entries = above > 0 ? [...this.entries.slice(0, above), ...entries] : entries;
    } catch (error) {
      this.failure = LedgernoError.from(error);
      this.phase = 'failed';
    }
  }
}

const mocked = import.meta.env.DEV && new URLSearchParams(location.search).has('mock');

async function opener(): Promise<Opener> {
  if (mocked) return (await import('./mock')).openMock;
  return (options) => Node.open(options);
}

export const session = new Session();
