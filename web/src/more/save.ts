import { LedgernoError, type Provable } from 'ledgerno';
import { session } from '../session.svelte';

/** Saves what the page has made as a file. */
export function save(name: string, content: BlobPart, type = 'application/octet-stream') {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** How often, each 300 ms, it is looked whether what a proof takes has been read or fetched. */
const TRIES = 30;

/** Saves a proof file, named after a text and what it is about; returns its name. */
export async function saveProof(circle: string, what: Provable, about: string, text: string): Promise<string> {
  const name = `${text || what}${what === 'stamp' ? '' : `-${about.slice(0, 8)}`}.ledgerno`;
  for (let tried = 1; ; tried += 1) {
    try {
      save(name, await session.node.proof(circle, what, about));
      return name;
    } catch (error) {
      if (tried === TRIES || LedgernoError.from(error).code !== 'not-here') throw error;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }
}
