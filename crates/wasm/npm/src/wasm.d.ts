/** What wasm-bindgen makes of crates/wasm; declared here so that types are checked without building it. */
declare module '#wasm' {
  export default function init(options: { module_or_path: Response | Promise<Response> }): Promise<unknown>;
  export const WasmNode: import('./glue').WasmNodeClass;
}
