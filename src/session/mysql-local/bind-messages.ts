/** The messages that run one text with values, all in PostgreSQL's text form: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY */
import { int16, int32, message } from '../../wire/message.ts';
import { execute, parse, sync } from '../../wire/frontend-messages.ts';

const noName = Buffer.alloc(2);
const noFormats = int16(0);
const isNull = int32(-1);

export function bindMessages(text: string, values: readonly (string | null)[]): Buffer {
  const parts = values.flatMap((value) => {
    if (value === null) return [isNull];
    const bytes = Buffer.from(value, 'utf8');
    return [int32(bytes.length), bytes];
  });
  return Buffer.concat([parse('', text), message('B', noName, noFormats, int16(values.length), ...parts, noFormats), execute(''), sync]);
}
