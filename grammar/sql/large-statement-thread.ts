/** The thread behind LargeStatementReader: a text in, its facts or the places of its names out (never the tree, which is many times larger). */
import { parentPort } from 'node:worker_threads';
import type { LargeStatementAnswer, LargeStatementQuestion } from './large-statement-reader.ts';
import { readPlaces, readText } from './read-text.ts';
import { WasmParser } from './wasm-parser.ts';

const parser = await WasmParser.load();

parentPort?.on('message', ({ text, wanted }: LargeStatementQuestion) => {
  const answer: LargeStatementAnswer = wanted === 'facts' ? { facts: readText(text, parser) } : { places: readPlaces(text, parser) };
  parentPort?.postMessage(answer);
});
