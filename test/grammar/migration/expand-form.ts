/** Every way of reading a form of `syntaxTable`, with the words in lower case filled in. */

const fill: Readonly<Record<string, string>> = {
  table: 'public.orders', schema: 'shop', source: 'legacy', server: 'legacy_pg', role: 'app', setting: 'batch_size', setting2: 'read_from',
  seconds: '30', percentage: '5', rows: '10', topic: 'cutover', side: "'compare'", statement: 'SELECT 1', "'time'": "'1 hour'", "'condition'": "'id > 1'",
};

/** Placeholders that depend on the statement: an option's name, the second time another one, and a value for it. */
function optionsOf(text: string): string {
  const isMapping = text.includes('USER MAPPING');
  const isCreate = text.startsWith('CREATE');
  let seen = 0;
  let values = 0;
  const names = isMapping ? ['user', 'password', 'password'] : isCreate ? ['host', 'dbname'] : ['port', 'sslmode', 'sslmode'];
  const given = isMapping ? ["'u'", "'p'"] : isCreate ? ["'h'", "'d'"] : ['5432'];
  return text.replace(/\boption\b/g, () => names[seen++] ?? '?').replace(/\bvalue\b/g, () => given[values++] ?? '?');
}

export function expandForm(form: string): string[] {
  const hasFreeOptions = /\boption\b/.test(form);
  return [...new Set(alternatives(form))]
    .filter((text) => !hasFreeOptions || /option/.test(text))
    // Both options of a new server are required, so the readings with one only are none.
    .filter((text) => !/CREATE SERVER/.test(text) || /option value , option value/.test(text))
    .map((text) => (hasFreeOptions ? optionsOf(text) : settings(text)))
    .map((text) => text.split(/\s+/).map((word) => fill[word] ?? word).join(' ').trim());
}

function settings(text: string): string {
  let count = 0;
  return text.replace(/\bsetting (= )?value\b/g, (_all, equals: string | undefined) => {
    count += 1;
    return `${count === 1 ? 'batch_size' : 'parallel_workers'} ${equals ?? ''}7`;
  });
}

/** Splits brackets off from words, then reads sequences of choices. */
function alternatives(form: string): string[] {
  const words = form.replace(/[[\]{}|(),]/g, ' $& ').trim().split(/\s+/);
  let at = 0;

  function choice(close: string): string[] {
    const all: string[] = [];
    let current = [''];
    for (;;) {
      const word = words[at];
      if (word === undefined || word === close) {
        at += 1;
        return [...all, ...current];
      }
      at += 1;
      if (word === '|') {
        all.push(...current);
        current = [''];
        continue;
      }
      const next = word === '[' ? ['', ...choice(']')] : word === '{' ? choice('}') : [word];
      current = current.flatMap((before) => next.map((after) => `${before} ${after}`.replace(/\s+/g, ' ').trim()));
    }
  }

  return choice('');
}
