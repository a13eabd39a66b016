/** The thread behind LargeStatementReader: a text in, its facts out (never the tree, which is many times larger). */
import { parentPort } from 'node:worker_threads';
import type { LargeStatementAnswer } from './large-statement-reader.ts';
import { readText } from './read-text.ts';
import { WasmParser } from './wasm-parser.ts';

const parser = await WasmParser.load();

parentPort?.on('message', (text: string) => {
  const answer: LargeStatementAnswer = { facts: readText(text, parser) };
  parentPort?.postMessage(answer);
});
