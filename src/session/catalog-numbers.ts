/**
 * Numbers of relations in queries of catalogs that local answers. A client gets local's with a mark (`numberFromLocal`), as it may come back with
 * them, and they must not be taken for the source's; what it says with the mark is told to local without.
 */
import { isNumberOfLocal, numberForLocal, numberOfLocalPattern } from '../../grammar/sql/catalog-names.ts';
import type { RenamedText } from '../../grammar/sql/rename-relations.ts';
import { bindParts, readBind } from '../wire/bind-parameters.ts';
import { readParse } from '../wire/frontend-messages.ts';
import { int16, int32, message } from '../wire/message.ts';
import type { PreparedStatement } from './prepared-statements.ts';
import type { TextTraits } from './text-traits.ts';

/** A query of catalogs, whose rows may hold such numbers. */
export function readsCatalogs({ single }: TextTraits): boolean {
  return single?.kind === 'select' && single.flags.systemOnly && single.reads.length > 0;
}

/** Undefined: there are none in it. */
export function textForLocal(traits: TextTraits, text: Buffer): RenamedText | undefined {
  if (traits.single?.catalog?.hasNumbersOfLocal !== true) return undefined;
  // One character for each byte: places are in bytes.
  const before = text.toString('latin1');
  const edits: { start: number; end: number; length: number }[] = [];
  const after = before.replace(numberOfLocalPattern, (word, at: number) => {
    const own = String(numberForLocal(Number(word)));
    if (own !== word) edits.push({ start: at, end: at + word.length, length: own.length });
    return own;
  });
  return edits.length === 0 ? undefined : { bytes: Buffer.from(after, 'latin1'), before: Buffer.from(text), edits };
}

/** The values of a Bind, for what decides by them; undefined for NULL and for what is neither text nor a number of a relation. */
export function parameterTexts(statement: PreparedStatement, bind: Buffer): readonly (string | undefined)[] {
  const { origin } = statement;
  const parts = origin.type === 'parse' ? readParse(origin.message, 0, origin.message.length) : undefined;
  if (origin.type !== 'parse' || !parts) return [];
  return (readBind(bind, origin.message, parts.textEnd + 1) ?? []).map(({ isBinary, value }) => {
    if (value === undefined || !isBinary) return value?.toString('utf8');
    const number = numberIn(value);
    return number === undefined ? value.toString('utf8') : String(number);
  });
}

/** The Bind at `start` with numbers as local has them; undefined where there are none. */
export function bindForLocal(buffer: Buffer, start: number, length: number): Buffer | undefined {
  const parts = bindParts(buffer, start, length);
  if (!parts) return undefined;
  const values: Buffer[] = [];
  let isOther = false;
  const count = buffer.readUInt16BE(parts.valuesAt - 2);
  let at = parts.valuesAt;
  for (let index = 0; index < count; index += 1) {
    const bytes = buffer.readInt32BE(at);
    const value = buffer.subarray(at + 4, at + 4 + Math.max(bytes, 0));
    at += 4 + value.length;
    const own = bytes < 0 ? undefined : valueForLocal(value);
    isOther ||= own !== undefined;
    values.push(int32(bytes < 0 ? -1 : (own ?? value).length), own ?? value);
  }
  return isOther ? message('B', buffer.subarray(start + 5, parts.formatsAt), buffer.subarray(parts.formatsAt, parts.valuesAt - 2), int16(count), ...values, buffer.subarray(at, start + length)) : undefined;
}

function valueForLocal(value: Buffer): Buffer | undefined {
  const text = value.toString('latin1');
  if (/^[\d{},"]{10,}$/.test(text)) {
    const own = text.replace(numberOfLocalPattern, (word) => String(numberForLocal(Number(word))));
    return own === text ? undefined : Buffer.from(own);
  }
  const number = numberIn(value);
  if (number === undefined) return undefined;
  const own = Buffer.from(value);
  own.writeUInt32BE(numberForLocal(number), own.length - 4);
  return own;
}

/** A binary `oid`, or `int8`, that is one of local's. */
function numberIn(value: Buffer): number | undefined {
  if (value.length !== 4 && !(value.length === 8 && value.readUInt32BE(0) === 0)) return undefined;
  const number = value.readUInt32BE(value.length - 4);
  return isNumberOfLocal(number) ? number : undefined;
}
