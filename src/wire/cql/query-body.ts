/** The body of a QUERY of the proxy's own: consistency ONE, nothing bound. */
import { BodyWriter } from './body-writer.ts';

export function queryBody(text: string): Buffer {
  return new BodyWriter(text.length + 8).longString(text).short(1).byte(0).done();
}
