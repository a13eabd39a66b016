/** Where the stream is: file and offset on the server that is read, and what has been given out by GTID. */
import { GtidSet, sourceOf } from './gtid-set.ts';
import { MariadbGtidList } from './mariadb-gtid-list.ts';
import type { MariadbGtid } from './mariadb-gtid-list.ts';
import type { MysqlPosition } from '../position.ts';

const FOUR_GB = 0x1_0000_0000;

export class BinlogPlace {
  file: string;
  /** Where the next event begins. */
  offset: number;
  #doneFile: string;
  #doneOffset: number;
  readonly #type: MysqlPosition['type'];
  readonly #set: GtidSet;
  readonly #list: MariadbGtidList;

  constructor(start: MysqlPosition) {
    this.file = this.#doneFile = start.binlogFile;
    this.offset = this.#doneOffset = start.binlogPosition;
    this.#type = start.type;
    this.#set = GtidSet.parse(start.type === 'mysql_gtid' ? start.gtidSet : '');
    this.#list = MariadbGtidList.parse(start.type === 'mariadb_gtid' ? start.gtidList : '');
  }

  rotate(file: string, offset: number): void {
    this.file = file;
    this.offset = offset;
  }

  /** `low`: the low 32 bits of an offset that only grows. */
  advance(low: number): void {
    const high = Math.floor(this.offset / FOUR_GB) * FOUR_GB;
    this.offset = high + low < this.offset ? high + FOUR_GB + low : high + low;
  }

  /** A transaction without one would be lost when reading begins again. */
  get needsGtids(): boolean {
    return this.#type !== 'mysql_binlog';
  }

  /** What has been read so far has been given out. */
  finish(): void {
    this.#doneFile = this.file;
    this.#doneOffset = this.offset;
  }

  addMysql(uuid: string, tag: string, number: bigint): void {
    this.#set.add(sourceOf(uuid, tag), number);
  }

  addMariadb(gtid: MariadbGtid): void {
    this.#list.set(gtid);
  }

  /** Position behind what has been given out. */
  get position(): MysqlPosition {
    const place = { binlogFile: this.#doneFile, binlogPosition: this.#doneOffset };
    switch (this.#type) {
      case 'mysql_gtid':
        return { type: this.#type, gtidSet: this.#set.toString(), ...place };
      case 'mariadb_gtid':
        return { type: this.#type, gtidList: this.#list.toString(), ...place };
      case 'mysql_binlog':
        return { type: this.#type, ...place };
      default:
        return this.#type satisfies never;
    }
  }
}
