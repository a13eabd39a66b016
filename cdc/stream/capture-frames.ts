/**
 * The form in which every source hands changes to the stream: CopyData frames as PostgreSQL's replication protocol has them
 * (https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-START-REPLICATION), each with one pgoutput message, or with a
 * keepalive that says how far everything has been sent. Other frames are passed over.
 */
export const frameKind = { copyData: 0x64, message: 0x77, keepalive: 0x6b } as const;

/** Where, in a frame, the message begins, and the position of a keepalive. */
export const MESSAGE_AT = 30;
export const KEEPALIVE_POSITION_AT = 6;
