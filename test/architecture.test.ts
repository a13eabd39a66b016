/**
 * The rules of the code that a machine can hold: who may import whom, no cycles, sizes, names, and the words that are not used.
 * Each list of exceptions names its reason.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, expect, test } from 'vitest';
import { blank, readCode } from './support/read-code.ts';
import type { CodeFile } from './support/read-code.ts';

const root = path.join(import.meta.dirname, '..');

/** A strict order: each folder may import only itself and those before it; `test` may import all. */
const layers = ['config', 'grammar', 'catalog', 'cdc', 'src'];

/** The same inside `src`; `cdc` says whether the folder may import `cdc/`. */
const partsOfSrc: Readonly<Record<string, { readonly imports: readonly string[]; readonly cdc: boolean }>> = {
  wire: { imports: [], cdc: false },
  ops: { imports: [], cdc: false },
  store: { imports: [], cdc: true },
  route: { imports: [], cdc: false },
  execute: { imports: ['route', 'store'], cdc: false },
  merge: { imports: ['route', 'store'], cdc: false },
  cql: { imports: ['wire', 'ops'], cdc: false },
  session: { imports: ['wire', 'route', 'execute', 'merge', 'store'], cdc: false },
  migrate: { imports: ['store'], cdc: true },
  main: { imports: ['wire', 'ops', 'store', 'route', 'execute', 'merge', 'cql', 'session', 'migrate'], cdc: true },
};

const MAX_LINES = 400;
/** File → why it is longer. */
const longFiles: Readonly<Record<string, string>> = {};
/** File → why it looks at the process around it. */
const looksAtProcess: Readonly<Record<string, string>> = {
  'catalog/query/query-process.ts': 'is a process of its own: its arguments and its end are its parent\'s',
  'src/ops/embedded-postgres.ts': 'hands TZ on to the server that it starts, which else would not know the time zone',
};

const product = readCode(root, layers);
const known = new Set(product.map(({ path: name }) => name));
const dependencies = (JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')) as { dependencies: Record<string, string> }).dependencies;

function violations(find: (file: CodeFile) => readonly string[]): string[] {
  return product.flatMap((file) => find(file).map((what) => `${file.path}: ${what}`));
}

/** `path:line` of every place where the pattern is found in code, outside comments and texts. */
function placesOf(pattern: RegExp, isAllowed: (file: string) => boolean = () => false): string[] {
  return product.filter(({ path: name }) => !isAllowed(name)).flatMap(({ path: name, code }) =>
    code.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${name}:${index + 1}`] : [])));
}

const layerOf = (file: string): string => file.split('/')[0] ?? '';
const partOf = (file: string): string | undefined => (layerOf(file) === 'src' ? file.split('/')[1] : undefined);
const isConfigOrMain = (file: string): boolean => layerOf(file) === 'config' || partOf(file) === 'main';

describe('imports', () => {
  test('go to the folders above, never back', () => {
    expect(violations(({ path: name, imports }) => imports.filter(({ isRelative, target }) => isRelative && (layers.indexOf(layerOf(target)) > layers.indexOf(layerOf(name)) || !layers.includes(layerOf(target)))).map(({ written }) => `imports ${written}`))).toEqual([]);
  });

  test('inside src follow the order of its parts', () => {
    expect(violations(({ path: name, imports }) => imports.flatMap(({ target, isRelative, written }) => {
      const part = partOf(name);
      const other = partOf(target);
      if (!isRelative || part === undefined) return [];
      const rules = partsOfSrc[part];
      if (!rules) return ['is in a part of src that the layout does not know'];
      if (layerOf(target) === 'cdc' && !rules.cdc) return [`imports ${written}`];
      return other === undefined || other === part || rules.imports.includes(other) ? [] : [`imports ${written}`];
    }))).toEqual([]);
  });

  test('end in .ts and lead to a file', () => {
    expect(violations(({ imports }) => imports.filter(({ isRelative, target }) => isRelative && !known.has(target)).map(({ written }) => `imports ${written}`))).toEqual([]);
  });

  test('of packages are declared in package.json', () => {
    expect(violations(({ imports }) => imports.filter(({ isRelative, isTypeOnly, target }) => {
      const name = target.split('/').slice(0, target.startsWith('@') ? 2 : 1).join('/');
      return !isRelative && !isTypeOnly && !target.startsWith('node:') && dependencies[name] === undefined;
    }).map(({ written }) => `imports ${written}`))).toEqual([]);
  });

  test('make no cycle', () => {
    expect(findCycle(new Map(product.map(({ path: name, imports }) => [name, imports.filter(({ isRelative }) => isRelative).map(({ target }) => target)])))).toBeUndefined();
  });
});

/** A cycle as the files that it goes through, if there is one. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>): readonly string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]): readonly string[] | undefined => {
    if (trail.includes(file)) return [...trail.slice(trail.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const target of graph.get(file) ?? []) {
      const cycle = visit(target, [...trail, file]);
      if (cycle) return cycle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const cycle = visit(file, []);
    if (cycle) return cycle;
  }
  return undefined;
}

describe('words that are not used', () => {
  test('any', () => {
    expect(placesOf(/(?::|\bas|<|,|\||&|=)\s*any\b(?!\s*[(:.])/)).toEqual([]);
  });

  test('non-null assertions', () => {
    expect(placesOf(/[\w)\]]!(?=[.;,)\]}[:?\s]|$)(?!\s*=)/)).toEqual([]);
  });

  test('enum, namespace, @ts-ignore', () => {
    expect(placesOf(/^\s*(?:export\s+)?(?:declare\s+)?(?:const\s+)?(?:enum|namespace)\s+\w/)).toEqual([]);
    expect(violations(({ text }) => (/@ts-(?:ignore|nocheck|expect-error)/.test(text) ? ['switches the type check off'] : []))).toEqual([]);
  });

  test('the process, its clock and its console outside config/ and src/main/', () => {
    const isAllowed = (file: string): boolean => isConfigOrMain(file) || looksAtProcess[file] !== undefined;
    expect(placesOf(/\bprocess\.(?:env|argv|exit)\b|\bDate\.now\(|\bnew Date\(\)|\bconsole\./, isAllowed)).toEqual([]);
  });
});

describe('files', () => {
  test(`have at most ${MAX_LINES} lines`, () => {
    expect(product.filter(({ lines, path: name }) => lines > MAX_LINES && longFiles[name] === undefined).map(({ path: name, lines }) => `${name}: ${lines}`)).toEqual([]);
  });

  test('are in kebab-case, and called what they export', () => {
    const isGoodName = (part: string): boolean => /^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(part) && !/(?:^|-)(?:utils?|helpers?|common|managers?|misc)(?:-|$)/.test(part);
    expect(product.filter(({ path: name }) => !name.replace(/(?:\.d)?\.ts$/, '').split('/').every(isGoodName)).map(({ path: name }) => name)).toEqual([]);
  });

  test('are at most two folders below their layer', () => {
    expect(product.filter(({ path: name }) => name.split('/').length > 4).map(({ path: name }) => name)).toEqual([]);
  });

  test('say something of their own: no barrels', () => {
    expect(violations(({ code }) => {
      const statements = code.split('\n').filter((line) => line.trim() !== '');
      return statements.length > 0 && statements.every((line) => /^(?:export\s+(?:type\s+)?(?:\*|\{).*\sfrom\s|import\s)/.test(line)) ? ['only passes on what others export'] : [];
    })).toEqual([]);
  });

  test('say what they are for', () => {
    expect(product.filter(({ text }) => !/^(?:\/\*\*|\/\/ )/m.test(text)).map(({ path: name }) => name)).toEqual([]);
  });

  test('exceptions are of files that exist', () => {
    expect([...Object.keys(longFiles), ...Object.keys(looksAtProcess)].filter((name) => !known.has(name))).toEqual([]);
  });
});

describe('this test', () => {
  test('sees code and overlooks texts, comments and regular expressions', () => {
    const code = blank("const a = 'x: any'; // y: any\nconst b = /: any/.test(`: any ${c!.d} `); /* enum\n E */ const e = f / g; const h = 'it\\'s';\n");
    expect(code).not.toContain('any');
    expect(code).not.toContain('enum');
    expect(code).toContain('c!.d');
    expect(code).toContain('const e = f / g;');
    expect(code.split('\n')).toHaveLength(4);
  });

  test('finds a cycle', () => {
    expect(findCycle(new Map([['a', ['b']], ['b', ['c']], ['c', ['b']]]))).toEqual(['b', 'c', 'b']);
    expect(findCycle(new Map([['a', ['b', 'c']], ['b', ['c']], ['c', []]]))).toBeUndefined();
  });

  test('reads files of every layer', () => {
    expect([...new Set(product.map(({ path: name }) => layerOf(name)))]).toEqual(layers);
  });
});
