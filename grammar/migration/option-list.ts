/** `OPTIONS (name value, …)` in its three forms: plain, with ADD/SET/DROP, and `SET OPTION name = value`. */
import type { Token } from '../tokens.ts';
import type { Cursor } from './cursor.ts';
import type { OptionKind, OptionPlace, WrittenValue } from './option-kinds.ts';
import { alterableOptions, optionNames, optionTable } from './options.ts';
import type { OptionName, StatedOptions } from './options.ts';
import type { OptionChanges } from './statement.ts';
import { nearest } from './suggest.ts';

/** The options that one kind of statement knows, by written name. `secret`: values are never repeated in messages. */
interface OptionSet<Key extends string> {
  readonly kinds: ReadonlyMap<string, { readonly key: Key; readonly kind: OptionKind<unknown> }>;
  readonly secret: boolean;
}

export function optionSet<Key extends string>(table: Readonly<Record<Key, OptionKind<unknown>>>, secret = false): OptionSet<Key> {
  const keys = Object.keys(table) as Key[];
  return { kinds: new Map(keys.map((key) => [table[key].name, { key, kind: table[key] }])), secret };
}

const migrationOptions = optionSet<OptionName>(optionTable);
const optionsOfStarted: OptionSet<OptionName> = { ...migrationOptions, kinds: new Map([...migrationOptions.kinds].filter(([, { key }]) => alterableOptions.some((each) => each === key))) };

/** `[OPTIONS (…)]` of START MIGRATION and CREATE MIGRATION SOURCE. */
export function statedOptions(cursor: Cursor, place: OptionPlace): StatedOptions {
  if (!cursor.accept('options')) return {};
  const found: Record<string, unknown> = {};
  cursor.expectSymbol('(');
  do readInto(cursor, migrationOptions, found, place);
  while (cursor.acceptSymbol(','));
  cursor.expectSymbol(')');
  return found as StatedOptions;
}

/** `name = value [, …]` behind SET OPTION. */
export function assignedOptions(cursor: Cursor): StatedOptions {
  return assigned(cursor, migrationOptions);
}

/** As `assignedOptions`, of a table that has started. */
export function alteredOptions(cursor: Cursor): StatedOptions {
  return assigned(cursor, optionsOfStarted);
}

function assigned(cursor: Cursor, options: OptionSet<OptionName>): StatedOptions {
  const found: Record<string, unknown> = {};
  do readInto(cursor, options, found, 'source', '=');
  while (cursor.acceptSymbol(','));
  return found as StatedOptions;
}

/** `name [, …]` behind RESET OPTION. */
export function namedOptions(cursor: Cursor): OptionName[] {
  const found: OptionName[] = [];
  do {
    const { key, token } = optionName(cursor, migrationOptions);
    if (found.includes(key)) throw cursor.error('MIG071', `option ${token.text} is given twice`, token);
    checkPlace(cursor, key, 'source', token);
    found.push(key);
  } while (cursor.acceptSymbol(','));
  return found;
}

/** `OPTIONS (name 'value', …)` of CREATE SERVER and CREATE USER MAPPING. `required`: keys that have to be given. */
export function givenOptions<Options extends object>(cursor: Cursor, set: OptionSet<keyof Options & string>, required: readonly (keyof Options & string)[]): Options {
  const found: Record<string, unknown> = {};
  cursor.secret = set.secret;
  cursor.expect('options');
  cursor.expectSymbol('(');
  do readInto(cursor, set, found);
  while (cursor.acceptSymbol(','));
  const missing = required.find((key) => !Object.hasOwn(found, key));
  if (missing !== undefined) throw cursor.error('MIG071', `option ${missing} is missing`, cursor.token);
  cursor.expectSymbol(')');
  return found as Options;
}

/** `OPTIONS ([ADD|SET|DROP] name ['value'], …)` of ALTER; without a verb it is ADD, as on the server. */
export function optionChanges<Options extends object>(cursor: Cursor, set: OptionSet<keyof Options & string>, required: readonly (keyof Options & string)[]): OptionChanges<Options> {
  const changes = { add: {} as Record<string, unknown>, set: {} as Record<string, unknown>, drop: [] as (keyof Options & string)[] };
  cursor.secret = set.secret;
  cursor.expect('options');
  cursor.expectSymbol('(');
  do {
    const at = cursor.token;
    if (cursor.accept('drop')) {
      const { key, token } = optionName(cursor, set);
      if (required.includes(key)) throw cursor.error('MIG071', `option ${key} can't be dropped, only set`, token);
      changes.drop.push(key);
    } else if (cursor.accept('set')) readInto(cursor, set, changes.set);
    else {
      cursor.accept('add');
      readInto(cursor, set, changes.add);
    }
    const touched = [...Object.keys(changes.add), ...Object.keys(changes.set), ...changes.drop];
    const twice = touched.find((key, index) => touched.indexOf(key) !== index);
    if (twice !== undefined) throw cursor.error('MIG071', `option ${twice} is given twice`, at);
  } while (cursor.acceptSymbol(','));
  cursor.expectSymbol(')');
  return changes as unknown as OptionChanges<Options>;
}

function readInto<Key extends string>(cursor: Cursor, set: OptionSet<Key>, found: Record<string, unknown>, place?: OptionPlace, between?: string): void {
  const { key, kind, token } = optionName(cursor, set);
  if (Object.hasOwn(found, key)) throw cursor.error('MIG071', `option ${kind.name} is given twice`, token);
  if (place !== undefined) checkPlace(cursor, key, place, token);
  if (between !== undefined) cursor.expectSymbol(between);
  const at = cursor.token;
  const written = optionValue(cursor, kind);
  const result = kind.read(written);
  if (!result.ok) {
    const shown = set.secret ? '' : ` ${cursor.describe({ ...at, end: cursor.lastEnd })}`;
    const suggestion = result.suggestion === undefined ? '' : `; did you mean ${result.suggestion}?`;
    throw cursor.error('MIG071', `bad value${shown} for option ${kind.name}: expected ${kind.range}${suggestion}`, at);
  }
  found[key] = result.value;
}

function optionName<Key extends string>(cursor: Cursor, set: OptionSet<Key>): { key: Key; kind: OptionKind<unknown>; token: Token } {
  const { kind, text } = cursor.token;
  if (kind !== 'word' && kind !== 'quoted') {
    cursor.alsoExpected('an option name');
    return cursor.fail();
  }
  const found = set.kinds.get(text);
  if (found === undefined) {
    const names = [...set.kinds.keys()];
    const suggestion = nearest(text, names);
    const rest = suggestion === undefined ? `the options are ${names.toSorted().join(', ')}` : `did you mean ${suggestion}?`;
    throw cursor.error('MIG071', `unknown option "${text}"; ${rest}`, cursor.token);
  }
  return { ...found, token: cursor.advance() };
}

function checkPlace(cursor: Cursor, key: string, place: OptionPlace, token: Token): void {
  const option = optionNames.find((name) => name === key);
  const own = option === undefined ? 'source' : optionTable[option].place;
  if (own === 'table' && place !== 'table') throw cursor.error('MIG071', `option ${token.text} is for START MIGRATION FOR TABLE only`, token);
  if (own === 'start' && place === 'source') throw cursor.error('MIG071', `option ${token.text} is for START MIGRATION only`, token);
}

function optionValue(cursor: Cursor, kind: OptionKind<unknown>): WrittenValue {
  const token = cursor.token;
  if (token.kind === 'string') return { kind: 'string', text: cursor.advance().text };
  if (token.kind === 'word') return { kind: 'word', text: cursor.advance().text };
  if (token.kind === 'number') return { kind: 'number', text: cursor.advance().text };
  const sign = token.kind === 'symbol' && (token.text === '-' || token.text === '+') ? token.text : undefined;
  if (sign !== undefined) {
    cursor.advance();
    if (cursor.token.kind === 'number') return { kind: 'number', text: `${sign}${cursor.advance().text}` };
    cursor.alsoExpected('a number');
    return cursor.fail();
  }
  cursor.alsoExpected(`a value for ${kind.name} (${kind.range})`);
  return cursor.fail();
}

