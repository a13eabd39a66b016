/** What a request is to the proxy, whatever its opcode. */
export const requestKinds = { read: 0, write: 1, conditional: 2, schema: 3, prepare: 4, replay: 5 } as const;
export type RequestKind = (typeof requestKinds)[keyof typeof requestKinds];
