/** Facts in one line, so that a table of statements can say what is expected of each: only what is there is written. */
import type { CqlColumnWrite, CqlRelation, CqlStatement, CqlTerm } from '../../../grammar/cql/statement.ts';

const signs: Readonly<Record<CqlColumnWrite['operation'], string>> = { set: '=', append: '+=', prepend: '=+', remove: '-=', element: '[]=', field: '.=', delete: ' x', 'delete-element': '[] x', 'delete-field': '. x' };

export function printFacts(facts: CqlStatement): string {
  const parts: string[] = [facts.kind];
  if (['schema', 'access', 'list', 'unknown'].includes(facts.kind)) parts.push(facts.verb.replaceAll(' ', '-'));
  if (facts.batch) parts.push(facts.batch.type);
  if (facts.table !== undefined) parts.push(facts.keyspace === undefined ? facts.table : `${facts.keyspace}.${facts.table}`);
  else if (facts.keyspace !== undefined) parts.push(`${facts.keyspace}.`);
  if (facts.object && facts.kind !== 'unknown') parts.push(`<${facts.object.kind}:${facts.object.name ?? ''}>`);
  if (!facts.isWhole && facts.kind !== 'unknown') parts.push('part');
  if (facts.selection) parts.push(printSelection(facts.selection));
  if (facts.json) parts.push(`json(${printTerm(facts.json)}${facts.isJsonUnset ? ' unset' : ''})`);
  for (const { column, operation, term, key } of facts.writes) parts.push(`${column}${key ? signs[operation].replace('[]', `[${printTerm(key)}]`) : signs[operation]}${term ? printTerm(term) : ''}`);
  if (facts.where.length > 0) parts.push('where', ...facts.where.map(printRelation));
  if (facts.timestamp) parts.push(`ts:${printTerm(facts.timestamp)}`);
  if (facts.ttl) parts.push(`ttl:${printTerm(facts.ttl)}`);
  if (facts.limit) parts.push(`limit:${printTerm(facts.limit)}`);
  if (facts.isConditional) parts.push(facts.batch ? 'lwt' : `lwt:${facts.condition.replaceAll(' ', '-')}`);
  parts.push(...facts.ifs.map(printRelation));
  for (const { name, isKnown } of facts.unstableCalls) parts.push(`!${name}${isKnown ? '' : '?'}`);
  if (facts.batch) for (const child of facts.batch.children) parts.push(`[ ${printFacts(child)} ]`);
  return parts.join(' ');
}

export function printTerm(term: CqlTerm): string {
  switch (term.kind) {
    case 'bind': return `?${term.index}`;
    case 'constant': return term.form === 'string' ? `'${term.text}'` : term.text;
    case 'column': return term.name;
    case 'compound': return `${term.form}(${term.items.map(printTerm).join(',')})`;
  }
}

function printRelation({ columns, operator, isToken, isPart, terms, isWholeList }: CqlRelation): string {
  const names = columns.length === 1 && !isToken ? columns.join() : `(${columns.join(',')})`;
  return `${isToken ? 'token' : ''}${names}${isPart ? '[]' : ''}~${operator.replaceAll(' ', '-')}~${terms.map(printTerm).join(',')}${isWholeList ? '*' : ''}`;
}

function printSelection({ isJson, isDistinct, selectors }: NonNullable<CqlStatement['selection']>): string {
  const names = selectors.map(({ kind, name, alias }) => `${kind === 'column' ? name ?? '' : kind === '*' ? '*' : `<${kind}>`}${alias === undefined ? '' : `:${alias}`}`);
  return `(${isJson ? 'json ' : ''}${isDistinct ? 'distinct ' : ''}${names.join(',')})`;
}
