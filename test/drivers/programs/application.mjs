/** What the programs of applications share: steps whose results are lines of text, without what differs from run to run. */

/** A step that fails says so in its line: the next ones run all the same. */
export class Steps {
  lines = [];

  step = async (name, run) => {
    let result;
    try {
      result = await run();
    } catch (error) {
      result = { error: error.code ?? error.original?.code ?? error.name, message: `${error.sqlMessage ?? error.original?.sqlMessage ?? error.message}`.slice(0, 300) };
    }
    this.lines.push(`${name} => ${JSON.stringify(plain(result))}`);
    return result;
  };
}

/** Numbers that the server gives, and moments of now, are others each time. */
const changing = /^(?:id|\w*_id|\w*[a-z]Id|\w*ID|post_(?:author|parent)|comment_parent|parent|created_?at|updated_?at|deleted_?at)$/i;

export function plain(value) {
  if (value === undefined) return null;
  if (typeof value === 'bigint') return String(value);
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Date) return value.toISOString();
  if (Buffer.isBuffer(value)) return value.toString('hex');
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value.toJSON === 'function') return plain(value.toJSON());
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, changing.test(key) && each !== null && each !== undefined ? typeof each === 'object' && !(each instanceof Date) ? plain(each) : `(${each instanceof Date ? 'moment' : typeof each})` : plain(each)]));
}
