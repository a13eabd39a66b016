/**
 * Makes a socket that is open already read into memory of ours, as `onread` does for one that is yet to be opened
 * (https://nodejs.org/api/net.html#new-netsocketoptions): a server's accepted sockets cannot be given that option.
 *
 * Node keeps what `onread` set under symbols of its own. Where they, or the handle's method, are missing nothing is changed and the
 * caller reads `data` events (docs/decisions/0012).
 */
import type * as net from 'node:net';

interface UserBufferHandle {
  useUserBuffer(buffer: Uint8Array): void;
}

/** False when the socket cannot (TLS, another Node.js). What has come before is still read from the socket. */
export function readInto(socket: net.Socket, { buffer, callback }: net.OnReadOpts): boolean {
  const handle: unknown = Reflect.get(socket, '_handle');
  if ('encrypted' in socket || !hasUserBuffer(handle)) return false;
  const symbols = Object.getOwnPropertySymbols(socket);
  const key = (name: string): symbol | undefined => symbols.find((symbol) => symbol.description === name);
  const [bufferKey, callbackKey, nextKey] = [key('kBuffer'), key('kBufferCb'), key('kBufferGen')];
  if (!bufferKey || !callbackKey || !nextKey) return false;
  const first = typeof buffer === 'function' ? buffer() : buffer;
  Reflect.set(socket, bufferKey, first);
  Reflect.set(socket, callbackKey, callback);
  Reflect.set(socket, nextKey, typeof buffer === 'function' ? buffer : null);
  handle.useUserBuffer(first);
  return true;
}

function hasUserBuffer(handle: unknown): handle is UserBufferHandle {
  return typeof handle === 'object' && handle !== null && 'useUserBuffer' in handle && typeof handle.useUserBuffer === 'function';
}
