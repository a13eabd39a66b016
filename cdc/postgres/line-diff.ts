/** What two texts do not share, for people: the lines between their common beginning and end. Pure. */

const MOST_LINES = 20;

/** `-` lines are only in `before`, `+` lines only in `after`. */
export function lineDiff(before: string, after: string): string {
  const [a, b] = [before.split('\n'), after.split('\n')];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  return [...marked('-', a.slice(start, a.length - end)), ...marked('+', b.slice(start, b.length - end))].join('\n');
}

function marked(mark: string, lines: readonly string[]): string[] {
  const shown = lines.slice(0, MOST_LINES).map((line) => `${mark} ${line}`);
  return lines.length > MOST_LINES ? [...shown, `${mark} … ${lines.length - MOST_LINES} more lines`] : shown;
}
