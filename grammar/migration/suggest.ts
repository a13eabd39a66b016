/** "Did you mean": the candidate nearest to what was typed, when it is near enough to be a slip of the finger. */

/** Compared without regard to case. Undefined when nothing is near, or the text is itself a candidate. */
export function nearest(typed: string, candidates: readonly string[]): string | undefined {
  const text = typed.toLowerCase();
  let best: string | undefined;
  let bestDistance = allowedDistance(text.length) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(text, candidate.toLowerCase(), bestDistance);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return bestDistance === 0 ? undefined : best;
}

/** Short words are near to everything: one slip in three letters, two in six, three in ten. */
function allowedDistance(length: number): number {
  if (length < 3) return 0;
  if (length < 6) return 1;
  return length < 10 ? 2 : 3;
}

/** Insertions, deletions, changes and swaps of neighbours (optimal string alignment); `limit` when it is that or more. */
export function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(Math.min(
        at(row, j - 1) + 1,
        at(last, j) + 1,
        at(last, j - 1) + cost,
        swapped ? at(beforeLast, j - 2) + 1 : limit,
      ));
    }
    beforeLast = last;
    last = row;
  }
  return Math.min(at(last, b.length), limit);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
