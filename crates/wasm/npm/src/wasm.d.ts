/** What wasm-bindgen makes of crates/wasm; declared here so that types are checked without building it. */
declare module '#wasm' {
  export default function init(options: { module_or_path: Response | Promise<Response> }): Promise<unknown>;
  export const WasmNode: import('./glue').WasmNodeClass;
}

/** What wasm-bindgen makes of crates/proof. */
declare module '#proof' {
  type Source = Response | BufferSource | Promise<Response | BufferSource>;
  export default function init(options: { module_or_path: Source }): Promise<unknown>;
  export function make(parts: Uint8Array): Uint8Array<ArrayBuffer> | undefined;
  export function verify(file: Uint8Array): import('./verify').Finding | import('./verify').NoFinding;
  export function words(secret: Uint8Array): string | undefined;
  export function secret(text: string): import('./verify').Words;
  export function beginning(typed: string, most: number): string[];
  export class Hasher {
    update(piece: Uint8Array): void;
    hex(): string;
    free(): void;
  }
}
