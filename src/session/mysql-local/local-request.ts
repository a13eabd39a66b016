/** What is asked of a session's side on local, and how far it has come. */
import type { LoadData } from '../../../grammar/dialect/postgres/mysql-tree.ts';
import type { MysqlParameter } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import type { LocalAnswer } from './local-answer.ts';
import type { UserVariables } from './user-variables.ts';
import type { SessionFacts } from './session-facts.ts';

export interface LocalRequest {
  readonly text: string;
  /** As it came, where it did not come by a prepared statement. */
  readonly bytes?: Buffer;
  readonly sequence: number;
  /** Of a prepared statement; undefined: the text has come by itself. Throws a `ProtocolFault`. */
  readonly parameters?: (charset: string) => readonly MysqlParameter[];
}

/** Statements of one command, on their way. */
export interface Batch {
  readonly texts: readonly string[];
  readonly at: number;
  readonly parameters: readonly MysqlParameter[];
  readonly isPrepared: boolean;
  readonly answer: LocalAnswer;
  readonly facts: SessionFacts;
  readonly sequence: number;
  /** That the statement reads. */
  readonly variables?: UserVariables | undefined;
  /** The statement is LOAD DATA. */
  readonly load?: LoadData | undefined;
}
