/** Parts of the settings' schema that several sections are made of. */
import { z } from 'zod';

type CamelCase<Name extends string> = Name extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<CamelCase<Tail>>}` : Name;
type CamelKeys<Section> = { readonly [Name in keyof Section as Name extends string ? CamelCase<Name> : Name]: Section[Name] };

export function camelKeys<Section extends object>(section: Section): CamelKeys<Section> {
  const renamed = Object.entries(section).map(([name, value]) => [name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()), value] as const);
  return Object.fromEntries(renamed) as CamelKeys<Section>;
}

/** A mapping with exactly these keys. */
export function section<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape).transform(camelKeys);
}

export const port = z.int().min(1).max(65_535);
export const text = z.string().min(1);
export const milliseconds = z.int().min(0).max(86_400_000);
export const positive = z.int().min(1);

/** PEM text, usually given as `{file: path}`. */
export const pem = z.string().regex(/^-----BEGIN [A-Z0-9 ]+-----/m, 'expected PEM text (give a file as {file: path})');

export const ssl = section({
  mode: z.enum(['require', 'verify-ca', 'verify-full']).default('verify-full'),
  ca: pem.exactOptional(),
  cert: pem.exactOptional(),
  key: pem.exactOptional(),
});
