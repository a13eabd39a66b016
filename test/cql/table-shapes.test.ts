/** A cluster that cannot answer just now has told nothing of a table: it is asked again. One that does not know the table has told that. */
import { expect, test } from 'vitest';
import { processClock } from '../../config/process-runtime.ts';
import { TableShapes } from '../../src/cql/table-shapes.ts';
import { errorBody, errorCodes } from '../../src/wire/cql/error-body.ts';
import { ANSWER_BIT, makeFrame, opcodes } from '../../src/wire/cql/frame.ts';

const table = { keyspace: 'ks', table: 't' };

function ask(code: number): { readonly isTold: boolean | undefined; readonly columns: number | undefined } {
  const shapes = new TableShapes(processClock);
  let isTold: boolean | undefined;
  const frame = makeFrame({ version: 4 | ANSWER_BIT, stream: 0, opcode: opcodes.error }, errorBody(code, 'no'));
  shapes.ask(0, { call: (_opcode, _body, done) => done(frame, 0, frame.length) }, table, (told) => (isTold = told));
  return { isTold, columns: shapes.of(0, table)?.size };
}

test.each(['overloaded', 'unavailable', 'bootstrapping', 'readTimeout'] as const)('%s', (name) => {
  expect(ask(errorCodes[name])).toEqual({ isTold: false, columns: undefined });
});

test.each(['invalid', 'unauthorized'] as const)('%s', (name) => {
  expect(ask(errorCodes[name])).toEqual({ isTold: true, columns: 0 });
});
