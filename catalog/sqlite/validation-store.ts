import type { ValidationRecords } from '../catalog.ts';
import type { ValidationChunk, ValidationRecord } from '../records.ts';
import { integer, json, oneOf, optionalInteger, optionalText, optionalTime, position, text, time } from './columns.ts';
import { isoToStored } from './connection.ts';
import type { CatalogConnection, Row } from './connection.ts';

/** The last one is what cutover relies on, the one before it what it is compared with. */
const KEPT_PER_TABLE = 5;

/** Results of validations, chunk by chunk, with the position at which each chunk was proved (RULES 29). */
export class ValidationStore implements ValidationRecords {
  readonly #connection: CatalogConnection;

  constructor(connection: CatalogConnection) {
    this.#connection = connection;
  }

  async putValidation(validation: ValidationRecord): Promise<void> {
    this.#connection.write(() => {
      this.#connection.run(
        `INSERT INTO validation (validation_id, table_id, mode, sample_percent, passed, source_rows, local_rows, chunks, mismatched_chunks,
           mismatched_rows, unsettled_rows, details, started_at, finished_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (validation_id) DO UPDATE SET passed = excluded.passed, source_rows = excluded.source_rows, local_rows = excluded.local_rows,
           chunks = excluded.chunks, mismatched_chunks = excluded.mismatched_chunks, mismatched_rows = excluded.mismatched_rows,
           unsettled_rows = excluded.unsettled_rows, details = excluded.details, finished_at = excluded.finished_at`,
        validation.validationId, validation.tableId, validation.mode, validation.samplePercent ?? null,
        validation.passed === undefined ? null : Number(validation.passed), validation.sourceRows ?? null, validation.localRows ?? null,
        validation.chunks, validation.mismatchedChunks, validation.mismatchedRows, validation.unsettledRows, JSON.stringify(validation.details),
        isoToStored(validation.startedAt), validation.finishedAt === undefined ? null : isoToStored(validation.finishedAt),
      );
      this.#connection.run(
        `DELETE FROM validation WHERE table_id = ? AND validation_id NOT IN
           (SELECT validation_id FROM validation WHERE table_id = ? ORDER BY started_at DESC, rowid DESC LIMIT ?)`,
        validation.tableId, validation.tableId, KEPT_PER_TABLE,
      );
    });
  }

  async putValidationChunks(validationId: string, chunks: readonly ValidationChunk[]): Promise<void> {
    this.#connection.write(() => {
      for (const chunk of chunks) {
        this.#connection.run(
          `INSERT OR REPLACE INTO validation_chunk (validation_id, chunk_no, lower_bound, upper_bound, source_checksum, local_checksum, row_count,
             position, checked_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
          validationId, chunk.chunkNo, chunk.lowerBound ?? null, chunk.upperBound ?? null, chunk.sourceChecksum ?? null, chunk.localChecksum ?? null,
          chunk.rowCount ?? null, chunk.position === undefined ? null : JSON.stringify(chunk.position), this.#connection.now(),
        );
      }
    });
  }

  async lastValidation(tableId: string): Promise<ValidationRecord | undefined> {
    const row = this.#connection.get('SELECT * FROM validation WHERE table_id = ? ORDER BY started_at DESC, rowid DESC LIMIT 1', tableId);
    return row === undefined ? undefined : validationRecord(row);
  }

  async validationChunks(validationId: string): Promise<readonly ValidationChunk[]> {
    return this.#connection.all('SELECT * FROM validation_chunk WHERE validation_id = ? ORDER BY chunk_no', validationId).map(validationChunk);
  }
}

function validationRecord(row: Row): ValidationRecord {
  const passed = optionalInteger(row, 'passed');
  return {
    validationId: text(row, 'validation_id'),
    tableId: text(row, 'table_id'),
    mode: oneOf(row, 'mode', ['full', 'sample']),
    samplePercent: optionalInteger(row, 'sample_percent'),
    passed: passed === undefined ? undefined : passed !== 0,
    sourceRows: optionalInteger(row, 'source_rows'),
    localRows: optionalInteger(row, 'local_rows'),
    chunks: integer(row, 'chunks'),
    mismatchedChunks: integer(row, 'mismatched_chunks'),
    mismatchedRows: integer(row, 'mismatched_rows'),
    unsettledRows: integer(row, 'unsettled_rows'),
    details: json(row, 'details'),
    startedAt: time(row, 'started_at'),
    finishedAt: optionalTime(row, 'finished_at'),
  };
}

function validationChunk(row: Row): ValidationChunk {
  return {
    chunkNo: integer(row, 'chunk_no'),
    lowerBound: optionalText(row, 'lower_bound'),
    upperBound: optionalText(row, 'upper_bound'),
    sourceChecksum: optionalText(row, 'source_checksum'),
    localChecksum: optionalText(row, 'local_checksum'),
    rowCount: optionalInteger(row, 'row_count'),
    position: row['position'] === null ? undefined : position(row, 'position'),
  };
}
