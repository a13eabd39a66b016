/** A file that is written at places its owner knows: the same write may be tried again until it has succeeded. Opened at the first write; after an error, anew at the next. */
import * as fs from 'node:fs';
import { promisify } from 'node:util';

const write = promisify(fs.write);
const datasync = promisify(fs.fdatasync);
const open = promisify(fs.open);

export class PlacedFile {
  readonly #path: string;
  #fd: number | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Writes at position 0 make the file. Nothing else runs meanwhile: for what has to be on disk before the turn of the loop goes on. */
  writeNow(bytes: Buffer, length: number, position: number): void {
    try {
      if (position === 0) this.close();
      const fd = this.#fd ??= fs.openSync(this.#path, position === 0 ? 'w' : 'r+');
      for (let written = 0; written < length; ) written += fs.writeSync(fd, bytes, written, length - written, position + written);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  async write(bytes: Buffer, length: number, position: number): Promise<void> {
    try {
      if (position === 0) this.close();
      const fd = this.#fd ??= await open(this.#path, position === 0 ? 'w' : 'r+');
      for (let written = 0; written < length; ) written += (await write(fd, bytes, written, length - written, position + written)).bytesWritten;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** What was written survives loss of power when this resolves. When it rejects, what was written since the last time may be gone: it has to be written again before the next try. */
  async sync(): Promise<void> {
    try {
      const fd = this.#fd ??= await open(this.#path, 'r+');
      await datasync(fd);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** An error of closing says nothing about what was written: that was told by the write. */
  close(): void {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd !== undefined) fs.close(fd, () => undefined);
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
