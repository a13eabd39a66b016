/** `bench NAME` runs `test/bench/NAME.ts`, which exports `run`. */
import * as fs from 'node:fs';
import * as path from 'node:path';

const directory = import.meta.dirname;
const name = process.argv[2] ?? '';
const names = fs.readdirSync(directory).filter((file) => file.endsWith('.ts')).map((file) => path.basename(file, '.ts')).filter((file) => file !== 'bench' && !file.endsWith('-worker'));

if (!names.includes(name)) {
  console.error(`usage: bench ${names.join('|')}`);
  process.exit(2);
}
const { run } = (await import(`./${name}.ts`)) as { run(): Promise<void> };
await run();
process.exit(0);
