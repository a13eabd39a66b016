/** Figures as operators read them. */

/** `00:15:00`; `-` when unknown. */
export function clockTime(ms: number | undefined): string {
  if (ms === undefined || !Number.isFinite(ms)) return '-';
  const seconds = Math.round(ms / 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

/** `0.5s`, `12.3s`; `-` when unknown. */
export function lagText(ms: number | undefined): string {
  return ms === undefined ? '-' : `${(ms / 1000).toFixed(1)}s`;
}

export function percentText(part: number | undefined, whole: number | undefined): string {
  if (part === undefined || whole === undefined) return '0%';
  if (whole === 0) return '100%';
  const percent = Math.min(100, (part * 100) / whole);
  return percent >= 100 ? '100%' : `${percent.toFixed(1)}%`;
}

export function grouped(value: number | undefined): string {
  return value === undefined ? '-' : Math.round(value).toLocaleString('en-US');
}
