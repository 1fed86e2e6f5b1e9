import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

// The relay serves web/dist as it is, so every name carries its content's hash, and the wasm module stays a file of its
// own: inlined as base64 it would cost a third more and could not be compiled while it streams in.
export default defineConfig({
  base: '/',
  publicDir: 'web/public',
  plugins: [svelte()],
  build: {
    outDir: 'web/dist',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    // Who loads what: `cargo xtask build` weighs the page by it, and takes it away.
    manifest: 'manifest.json',
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    sourcemap: false,
  },
});
