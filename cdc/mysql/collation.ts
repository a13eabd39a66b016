/**
 * Collations of local that compare as MySQL's do. A text that MySQL compares without regard to case has to be compared so on local
 * too: the same statement must find the same rows on both sides, and a unique key must refuse the same values.
 */
import type { CollationDefinition } from '../postgres/definition.ts';

/** Where the collations and functions live that stand for MySQL's own. */
export const mysqlSupportSchema = 'mysql';

export interface LocalCollation {
  readonly definition: CollationDefinition;
  /** ICU locale of a collation that has to be made; undefined for one that every server has. */
  readonly locale: string | undefined;
}

/** Languages in the names of collations → ICU's. Those left out are as the root collation. */
const languages: Readonly<Record<string, string>> = {
  swedish: 'sv', sv: 'sv', danish: 'da', da: 'da', german2: 'de-u-co-phonebk', de_pb: 'de-u-co-phonebk', spanish: 'es', es: 'es', spanish2: 'es-u-co-trad', es_trad: 'es-u-co-trad', czech: 'cs', cs: 'cs',
  polish: 'pl', pl: 'pl', slovak: 'sk', sk: 'sk', slovenian: 'sl', sl: 'sl', hungarian: 'hu', hu: 'hu', turkish: 'tr', tr: 'tr', romanian: 'ro', ro: 'ro', croatian: 'hr', hr: 'hr', estonian: 'et', et: 'et',
  latvian: 'lv', lv: 'lv', lithuanian: 'lt', lt: 'lt', icelandic: 'is', is: 'is', esperanto: 'eo', eo: 'eo', vietnamese: 'vi', vi: 'vi', bosnian: 'bs', bs: 'bs', norwegian: 'nb', nb: 'nb', japanese: 'ja', ja: 'ja',
};

const builtIn = (name: string, provider: string): LocalCollation => ({ definition: { schema: 'pg_catalog', name, provider, deterministic: true, version: null, explicit: true }, locale: undefined });

/** Those that tell `a` from `á`: by their names, and old ones that do so whatever their names say. */
const accentSensitive = /_as_ci$|_w2$|^(?:latin[127]|cp125[16]|cp850)_general_(?:nopad_)?ci$|_(?:japanese|chinese|korean)_(?:nopad_)?ci$|^hp8_english|_tolower_ci$/;

/** Undefined for a column without one. */
export function collationFor(collation: string | null): LocalCollation | undefined {
  if (collation === null) return undefined;
  if (collation === 'binary' || collation.endsWith('_bin')) return builtIn('C', 'c');
  const words = collation.split('_').slice(1);
  const language = languages[words.slice(0, 2).join('_')] ?? languages[words[0] ?? ''] ?? languages[words[1] ?? ''];
  const isCaseSensitive = collation.endsWith('_ai_cs');
  if (!isCaseSensitive && !/_ci$|_w2$/.test(collation)) return builtIn(language === undefined ? 'und-x-icu' : `${language.slice(0, 2)}-x-icu`, 'i');
  const isAccentSensitive = accentSensitive.test(collation);
  const strength = isAccentSensitive ? 'level2' : isCaseSensitive ? 'level1-kc' : 'level1';
  const [base = 'und', keywords] = (language ?? 'und').split('-u-');
  const name = `${language === undefined ? '' : `${language.replaceAll('-u-co-', '_').replaceAll('-', '_')}_`}${isAccentSensitive ? 'as' : 'ai'}_${isCaseSensitive ? 'cs' : 'ci'}`;
  return {
    definition: { schema: mysqlSupportSchema, name, provider: 'i', deterministic: false, version: null, explicit: true },
    locale: `${base}-u-${keywords === undefined ? '' : `${keywords}-`}ks-${strength}`,
  };
}
