/** The thread behind LargeStatementReader: a text in, its facts or the places of its names out (never the tree, which is many times larger). */
import { parentPort } from 'node:worker_threads';
import type { LargeStatementAnswer, LargeStatementQuestion } from './large-statement-reader.ts';
import { readLargeText, readPlaces, readUses } from './read-text.ts';
import { WasmParser } from './wasm-parser.ts';

const parser = await WasmParser.load();

parentPort?.on('message', ({ text, wanted }: LargeStatementQuestion) => {
  parentPort?.postMessage(answerTo(text, wanted));
});

function answerTo(text: string, wanted: LargeStatementQuestion['wanted']): LargeStatementAnswer {
  switch (wanted) {
    case 'facts': return { facts: readLargeText(text, parser) };
    case 'places': return { places: readPlaces(text, parser) };
    case 'uses': return { uses: readUses(text, parser) };
    default: return wanted satisfies never;
  }
}
