/** What a table's log has held cannot be read any more: its files are gone, cut short or changed. No other table's log is concerned. */
export class DamagedLog extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'DamagedLog';
  }
}

/** The file itself is at fault, and not what the process or the disk has too little of. */
const damages: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'EIO', 'ESTALE', 'EBADMSG', 'EUCLEAN']);

export function isFileDamage(error: unknown): boolean {
  return error instanceof DamagedLog || (error instanceof Error && 'code' in error && typeof error.code === 'string' && damages.has(error.code));
}

/** A file or folder that is not where it was: writing to it again would not help. */
export function isFileGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
