/**
 * One instance of PostgreSQL's own parser (libpg_query compiled to WASM).
 *
 * Deep nesting overflows the stack of the thread that parses, and every overflow leaks a part of the instance's own stack:
 * after some two dozen the instance is dead for good. So an instance that has overflowed once is not used again (RULES 31).
 */
import createModule from 'libpg-query/wasm/libpg-query.js';
import type { PgQueryModule } from 'libpg-query/wasm/libpg-query.js';

export type ParseOutcome =
  /** `tree` is the JSON form of the parse result: `{stmts: [{stmt: {SelectStmt: …}}]}`. */
  | { readonly type: 'tree'; readonly tree: unknown }
  | { readonly type: 'syntax_error'; readonly message: string }
  /** The stack or the memory ended; this instance must not be used again. */
  | { readonly type: 'overflow' };

/** Layout of the C struct PgQueryParseResult on wasm32: tree, stderr buffer, error. */
const treeOffset = 0;
const errorOffset = 8;

export class WasmParser {
  readonly #module: PgQueryModule;
  #usable = true;

  private constructor(module: PgQueryModule) {
    this.#module = module;
  }

  /** Takes 30 to 50 ms. */
  static async load(): Promise<WasmParser> {
    return new WasmParser(await createModule());
  }

  get usable(): boolean {
    return this.#usable;
  }

  /** `text` must not be empty and must hold no NUL: the parser would see a shorter text without a word. */
  parse(text: string): ParseOutcome {
    if (!this.#usable) return { type: 'overflow' };
    try {
      return this.#parse(text);
    } catch (error) {
      if (!isExhaustion(error)) throw error;
      this.#usable = false;
      return { type: 'overflow' };
    }
  }

  #parse(text: string): ParseOutcome {
    const module = this.#module;
    const size = module.lengthBytesUTF8(text) + 1;
    const query = module._malloc(size);
    module.stringToUTF8(text, query, size);
    // Not freed when this throws: the instance is thrown away then.
    const result = module._wasm_parse_query_raw(query);
    const outcome = this.#read(result);
    module._free(query);
    if (result !== 0) module._wasm_free_parse_result(result);
    return outcome;
  }

  #read(result: number): ParseOutcome {
    const module = this.#module;
    if (result === 0) throw new RangeError('the parser has no memory left');
    const error = module.getValue(result + errorOffset, 'i32');
    if (error !== 0) return { type: 'syntax_error', message: module.UTF8ToString(module.getValue(error, 'i32')) };
    return { type: 'tree', tree: JSON.parse(module.UTF8ToString(module.getValue(result + treeOffset, 'i32'))) };
  }
}

/** RangeError: the thread's stack. RuntimeError (WebAssembly's): the instance's memory. */
function isExhaustion(error: unknown): boolean {
  return error instanceof Error && (error instanceof RangeError || error.name === 'RuntimeError');
}
