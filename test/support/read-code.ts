/** Reads the project's source files for tests about the code itself: what they import, and their code without comments and texts. */
import * as fs from 'node:fs';
import * as path from 'node:path';

export interface CodeFile {
  /** From the project's root, with slashes. */
  readonly path: string;
  readonly lines: number;
  readonly imports: readonly CodeImport[];
  /** The code with comments removed and the insides of texts and regular expressions blanked; lines stay where they are. */
  readonly code: string;
  readonly text: string;
}

export interface CodeImport {
  /** Project path for a relative import, else the package's or module's name. */
  readonly target: string;
  readonly isRelative: boolean;
  readonly isTypeOnly: boolean;
  readonly written: string;
}

export function readCode(root: string, folders: readonly string[]): CodeFile[] {
  return folders.flatMap((folder) => filesUnder(path.join(root, folder))).map((file) => readFile(root, file));
}

function filesUnder(folder: string): string[] {
  if (!fs.existsSync(folder)) return [];
  return fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts')).sort().map((name) => path.join(folder, name));
}

function readFile(root: string, file: string): CodeFile {
  const text = fs.readFileSync(file, 'utf8');
  const name = path.relative(root, file).split(path.sep).join('/');
  return { path: name, text, lines: text.trimEnd().split('\n').length, imports: importsOf(text, name), code: blank(text) };
}

function importsOf(text: string, from: string): CodeImport[] {
  const found: CodeImport[] = [];
  const pattern = /^(?:import|export)\s+(type\s+)?(?:[\w*{][^'";]*?\sfrom\s+)?'([^']+)'|\bimport\('([^']+)'\)/gm;
  for (const match of text.matchAll(pattern)) {
    const written = match[2] ?? match[3] ?? '';
    const isRelative = written.startsWith('.');
    found.push({ written, isRelative, isTypeOnly: match[1] !== undefined, target: isRelative ? path.posix.normalize(path.posix.join(path.posix.dirname(from), written)) : written });
  }
  return found;
}

/**
 * Blanks comments, texts and regular expressions. Template literals are blanked whole but for the code in their `${…}`.
 * A slash begins a regular expression where no value can have ended before it.
 */
export function blank(text: string): string {
  let out = '';
  let at = 0;
  const keepLines = (part: string): string => part.replace(/[^\n]/g, ' ');
  /** Copies code up to the closing brace of a template's expression, or to the end. */
  const code = (insideTemplate: boolean): void => {
    let depth = 0;
    while (at < text.length) {
      const rest = text.slice(at, at + 2);
      const character = text[at] ?? '';
      if (rest === '//' || rest === '/*') skip(rest === '//' ? /\/\/[^\n]*/y : /\/\*[\s\S]*?\*\//y);
      else if (character === "'" || character === '"') skip(character === "'" ? /'(?:[^'\\\n]|\\[\s\S])*'/y : /"(?:[^"\\\n]|\\[\s\S])*"/y, "''");
      else if (character === '`') template();
      else if (character === '/' && /(?:^|[(,=:[!&|?{};+>~-]|\breturn|\btypeof|\bcase)\s*$/.test(out.slice(-40))) skip(/\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y, "''");
      else if (insideTemplate && character === '}' && depth === 0) return;
      else {
        if (character === '{') depth += 1;
        if (character === '}') depth -= 1;
        out += character;
        at += 1;
      }
    }
  };
  const skip = (pattern: RegExp, instead = ''): void => {
    pattern.lastIndex = at;
    const part = pattern.exec(text)?.[0] ?? text[at] ?? '';
    out += instead + keepLines(part).slice(instead.length);
    at += part.length;
  };
  const template = (): void => {
    out += "''";
    at += 1;
    while (at < text.length && text[at] !== '`') {
      if (text[at] === '\\') at += 2;
      else if (text.startsWith('${', at)) {
        out += ' (';
        at += 2;
        code(true);
        out += ') ';
        at += 1;
      } else {
        out += text[at] === '\n' ? '\n' : '';
        at += 1;
      }
    }
    at += 1;
  };
  code(false);
  return out;
}
