/**
 * From YAML text to what a schema makes of it. Every complaint names `file:line:column`, the path of the key and what was expected; all of them are reported at once.
 *
 * `${ENV:NAME}` stands for an environment variable and `{file: path}` for a file's content, anywhere a text is expected, so that
 * passwords and keys need not be in the file. Relative paths are relative to the settings file.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Document, Node, Pair } from 'yaml';
import type { z } from 'zod';

export type Environment = Readonly<Record<string, string | undefined>>;

/** One message per mistake; `message` holds all of them, a line each. */
export class SettingsError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'SettingsError';
    this.problems = problems;
  }
}

export interface SettingsOrigin {
  /** What complaints call the file. */
  readonly name: string;
  /** What relative paths in it are relative to. */
  readonly directory: string;
  readonly environment: Environment;
}

/** Reads the file. Throws `SettingsError`. */
export function readYamlFile<Schema extends z.ZodType>(file: string, schema: Schema, environment: Environment): z.output<Schema> {
  let yaml: string;
  try {
    yaml = fs.readFileSync(file, 'utf8');
  } catch (error) {
    throw new SettingsError([`${file}: cannot be read: ${messageOf(error)}`]);
  }
  return readYaml(yaml, schema, { name: file, directory: path.dirname(path.resolve(file)), environment });
}

/** As `readYamlFile`, from text. */
export function readYaml<Schema extends z.ZodType>(yaml: string, schema: Schema, origin: SettingsOrigin): z.output<Schema> {
  const lines = new LineCounter();
  const document = parseDocument(yaml, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const at = (offset: number | undefined): string => {
    if (offset === undefined) return origin.name;
    const { line, col } = lines.linePos(offset);
    return `${origin.name}:${line}:${col}`;
  };
  if (document.errors.length > 0) throw new SettingsError(document.errors.map((error) => `${at(error.pos[0])}: ${error.message}`));
  const problems: string[] = [];
  const given = resolveNode(document.contents, { origin, problems, at, key: '' });
  if (problems.length > 0) throw new SettingsError(problems);
  const parsed = schema.safeParse(given ?? {});
  if (!parsed.success) throw new SettingsError(parsed.error.issues.flatMap((issue) => describeIssue(issue, document, schema)).sort((a, b) => a.offset - b.offset).map(({ offset, text }) => `${at(offset)}: ${text}`));
  return parsed.data;
}

interface Resolving {
  readonly origin: SettingsOrigin;
  readonly problems: string[];
  readonly at: (offset: number | undefined) => string;
  /** Key that the value stands behind. */
  readonly key: string;
}

/** The plain value of a node, with `${ENV:…}` and `{file: …}` replaced. */
function resolveNode(node: unknown, resolving: Resolving): unknown {
  if (isMap(node)) {
    const only = node.items.length === 1 ? node.items[0] : undefined;
    if (only && keyOf(only) === 'file') return readReference(only, resolving);
    return Object.fromEntries(node.items.map((pair) => [keyOf(pair), resolveNode(pair.value, { ...resolving, key: keyOf(pair) })]));
  }
  if (isSeq(node)) return node.items.map((item) => resolveNode(item, resolving));
  if (!isScalar(node)) return undefined;
  const match = typeof node.value === 'string' ? /^\$\{ENV:(\w+)\}$/.exec(node.value) : null;
  return match?.[1] === undefined ? node.value : readVariable(match[1], node, resolving);
}

const secretKeys = new Set(['password', 'verifier', 'credential_key', 'mysql_native_hash']);

function readVariable(name: string, node: Node, { origin, problems, at, key }: Resolving): unknown {
  const value = origin.environment[name];
  if (value === undefined) {
    problems.push(`${at(node.range?.[0])}: ${key}: environment variable ${name} is not set`);
    return undefined;
  }
  // A password of digits stays text; a port becomes a number.
  return !secretKeys.has(key) && /^\d{1,15}$/.test(value) ? Number(value) : value;
}

function readReference(pair: Pair, { origin, problems, at, key }: Resolving): unknown {
  const target = isScalar(pair.value) ? pair.value : undefined;
  if (typeof target?.value !== 'string') {
    problems.push(`${at(target?.range?.[0])}: ${key}.file: expected the path of a file`);
    return undefined;
  }
  try {
    const content = fs.readFileSync(path.resolve(origin.directory, target.value), 'utf8');
    return secretKeys.has(key) ? content.replace(/\r?\n$/, '') : content;
  } catch (error) {
    problems.push(`${at(target.range?.[0])}: ${key}.file: cannot be read: ${messageOf(error)}`);
    return undefined;
  }
}

function keyOf(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
}

/** A schema issue as messages; an unknown key is reported where the key stands, a missing one where its section begins. */
function describeIssue(issue: z.core.$ZodIssue, document: Document, schema: unknown): { readonly offset: number; readonly text: string }[] {
  const where = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ offset: offsetOfKey(document, [...where, key]), text: `${[...where, key].join('.')}: unknown setting${suggestion(key, where, schema)}` }));
  }
  const isMissing = document.getIn(where.map(indexOrKey), true) === undefined;
  const expected = issue.message.replace(/^Invalid (input|option): /, '').replace(/, received .*$/, '');
  const text = isMissing && where.length > 0 ? `is missing: ${expected}` : expected;
  return [{ offset: offsetOfValue(document, where), text: `${where.join('.') || 'settings'}: ${text}` }];
}

function indexOrKey(part: string): string | number {
  return /^\d+$/.test(part) ? Number(part) : part;
}

/** Offset of the value at the path, or of the nearest thing around it that is there. */
function offsetOfValue(document: Document, where: readonly string[]): number {
  for (let length = where.length; length >= 0; length -= 1) {
    const node: unknown = length === 0 ? document.contents : document.getIn(where.slice(0, length).map(indexOrKey), true);
    const range = (node as Node | undefined)?.range;
    if (range) return range[0];
  }
  return 0;
}

function offsetOfKey(document: Document, where: readonly string[]): number {
  const parent: unknown = where.length === 1 ? document.contents : document.getIn(where.slice(0, -1).map(indexOrKey), true);
  const pair = isMap(parent) ? parent.items.find((item) => keyOf(item) === where.at(-1)) : undefined;
  return (pair?.key as Node | undefined)?.range?.[0] ?? offsetOfValue(document, where);
}

/** `; did you mean "x"?` for a key one or two letters away from one that exists in any section. */
function suggestion(key: string, where: readonly string[], schema: unknown): string {
  const known = knownKeys(where[0], schema);
  const near = known.map((name) => ({ name, distance: editDistance(key, name) })).sort((a, b) => a.distance - b.distance)[0];
  return near && near.distance <= 2 ? `; did you mean "${near.name}"?` : '';
}

function knownKeys(sectionName: string | undefined, schema: unknown): readonly string[] {
  const top = shapeOf(schema);
  if (sectionName === undefined) return Object.keys(top);
  return Object.keys(shapeOf(top[sectionName]));
}

/** Keys of a schema behind its defaults, options and transforms. */
function shapeOf(schema: unknown): Readonly<Record<string, unknown>> {
  let at = schema as { shape?: Record<string, unknown>; def?: { in?: unknown; innerType?: unknown; element?: unknown; type?: string } } | undefined;
  for (let depth = 0; at && depth < 8; depth += 1) {
    if (at.shape) return at.shape;
    at = (at.def?.innerType ?? at.def?.element ?? at.def?.in) as typeof at;
  }
  return {};
}

/** Levenshtein distance; keys are short. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const current = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, replaced));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.replace(/, open '.*'$/, '') : String(error);
}
