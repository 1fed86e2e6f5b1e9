// The npm package: its exports lead to files that are there, and both modules load outside a page.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const manifest = JSON.parse(await readFile(new URL(import.meta.resolve('ledgerno/package.json')), 'utf8'));

/** The JavaScript that wasm-bindgen made, and its module started. */
async function load(name) {
  const script = new URL(manifest.imports[name], import.meta.resolve('ledgerno/package.json'));
  const glue = await import(script.href);
  const bytes = await readFile(fileURLToPath(script).replace(/\.js$/, '_bg.wasm'));
  await glue.default({ module_or_path: bytes });
  return glue;
}

test('every export of the package leads to a file', async () => {
  assert.deepEqual(Object.keys(manifest.exports).sort(), ['.', './package.json', './proof']);
  for (const name of Object.keys(manifest.exports)) {
    const file = fileURLToPath(import.meta.resolve(`ledgerno${name.slice(1)}`));
    assert.ok((await stat(file)).isFile(), file);
  }
});

test("the node's module loads", async () => {
  const { WasmNode } = await load('#wasm');
  assert.equal(typeof WasmNode.open, 'function');
});

test('the module for proofs hashes, reads words and says why a file proves nothing', async () => {
  const { Hasher, beginning, secret, verify, words } = await load('#proof');

  const hasher = new Hasher();
  // BLAKE3 of "IETF", in two pieces.
  for (const piece of ['IE', 'TF']) hasher.update(new TextEncoder().encode(piece));
  assert.equal(hasher.hex(), '83a2de1ee6f4e6ab686889248f4ec0cf4cc5709446a682ffd1cbb4d6165181e2');
  hasher.free();

  const bytes = createHash('sha256').update('a secret').digest();
  const phrase = words(bytes);
  assert.equal(phrase.split(' ').length, 24);
  assert.deepEqual(Buffer.from(secret(phrase).secret), bytes);
  assert.equal(words(bytes.subarray(1)), undefined);
  const wrong = secret(phrase.replace(/^\w+/, 'abandom'));
  assert.deepEqual([wrong.right, wrong.why, wrong.place], [false, 'unknown', 1]);
  assert.ok(wrong.near.includes('abandon'));
  assert.deepEqual(secret('zoo zoo'), { right: false, why: 'count', found: 2 });
  assert.deepEqual(beginning('zo', 5), ['zone', 'zoo']);

  assert.equal(verify(new Uint8Array()).why, 'no-proof-file');
  const start = Buffer.from('ledgerno\x01', 'latin1');
  assert.equal(verify(Buffer.concat([start, Buffer.alloc(40)])).why, 'damaged');
  assert.equal(verify(Buffer.from('ledgerno\x02', 'latin1')).why, 'newer');
  for (let round = 0; round < 2_000; round += 1) {
    const file = Buffer.concat([start, randomBytes(round)]);
    assert.equal(verify(file).holds, false);
  }
});
