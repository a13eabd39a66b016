/** https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_row.html */
import { lengthEncodedText, PayloadReader } from './payload.ts';

const nullValue = Buffer.of(0xfb);

export function writeTextRow(values: readonly (Buffer | string | null)[]): Buffer {
  return Buffer.concat(values.map((value) => (value === null ? nullValue : lengthEncodedText(value))));
}

/** Throws a `ProtocolFault`. */
export function readTextRow(payload: Buffer): (Buffer | null)[] {
  const reader = new PayloadReader(payload);
  const values: (Buffer | null)[] = [];
  while (reader.left > 0) values.push(reader.text() ?? null);
  return values;
}
