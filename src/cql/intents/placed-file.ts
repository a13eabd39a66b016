/** A file that is written at places its owner knows: the same write may be tried again until it has succeeded. Opened at the first write; after an error, anew at the next. */
import * as fs from 'node:fs';

export class PlacedFile {
  readonly #path: string;
  #handle: fs.promises.FileHandle | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Writes at position 0 make the file. With `syncIn`, its directory, what was written survives loss of power when this resolves. */
  async write(bytes: Buffer, length: number, position: number, syncIn: string | undefined): Promise<void> {
    try {
      const isNew = position === 0;
      if (isNew) await this.close();
      const handle = this.#handle ??= await fs.promises.open(this.#path, isNew ? 'w' : 'r+');
      for (let written = 0; written < length; ) written += (await handle.write(bytes, written, length - written, position + written)).bytesWritten;
      if (syncIn === undefined) return;
      await handle.datasync();
      if (isNew) await syncDirectory(syncIn);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** An error of closing says nothing about what was written: that was told by the write. */
  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close().catch(() => undefined);
  }
}

export async function syncDirectory(directory: string): Promise<void> {
  const handle = await fs.promises.open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
