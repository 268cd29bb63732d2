// Asks V8 about a function, by an inspector Session within the process, which answers
// synchronously.
import type { Session } from 'node:inspector';
import { mainGlobal } from '../system/main-global.js';

export interface RemoteObject {
  value?: { scriptId: string; lineNumber: number; columnNumber: number };
  objectId?: string;
  description?: string;
}

interface Properties {
  result: { name: string; value?: RemoteObject }[];
  internalProperties?: { name: string; value?: RemoteObject }[];
}

export type Post = <T>(method: string, params?: object) => T;

/** A session that looks at a function. */
export interface Inspection {
  readonly session: Session;
  readonly post: Post;
  /** The remote object of what holds the function. */
  readonly holderId: string;
  /** An internal property of the function, such as '[[Scopes]]'. */
  readonly internal: (name: string) => RemoteObject | undefined;
}

/** Throws what node:inspector throws where it is missing or not permitted. */
export function inspect<Found>(
  holder: { readonly fn: Function },
  find: (inspection: Inspection) => Found,
): Found {
  const inspector =
    require('node:inspector') as typeof import('node:inspector');
  const session = new inspector.Session();
  session.connect();
  try {
    const post = poster(session);
    const { holderId, fnId } = handOver(post, holder);
    const found = post<Properties>('Runtime.getProperties', {
      objectId: fnId,
      ownProperties: true,
    });
    const internal = (name: string): RemoteObject | undefined =>
      found.internalProperties?.find((entry) => entry.name === name)?.value;
    return find({ session, post, holderId, internal });
  } finally {
    session.disconnect();
  }
}

function poster(session: Session): Post {
  return <T>(method: string, params: object = {}): T => {
    let answer: unknown;
    session.post(method, params, (error, result) => {
      if (error !== null) {
        throw new Error(`${method}: ${error.message}`, { cause: error });
      }
      answer = result;
    });
    return answer as T;
  };
}

// The inspector evaluates expressions in the main realm only. The function is
// passed to it in a property of the main realm's global object, which exists
// only during this call.
function handOver(
  post: Post,
  holder: object,
): { holderId: string; fnId: string } {
  const key = Symbol.for('jobserver.function');
  const target = mainGlobal();
  Object.defineProperty(target, key, { value: holder, configurable: true });
  try {
    const read = `globalThis[Symbol.for('jobserver.function')]`;
    const objectIdOf = (expression: string): string =>
      post<{ result: { objectId: string } }>('Runtime.evaluate', {
        expression,
        silent: true,
      }).result.objectId;
    return { holderId: objectIdOf(read), fnId: objectIdOf(`${read}.fn`) };
  } finally {
    delete target[key];
  }
}

/** The scopes of the function, the innermost first. */
export function scopesOf({ post, internal }: Inspection): RemoteObject[] {
  const list = internal('[[Scopes]]');
  return propertiesOf(post, list).flatMap(({ name, value }) =>
    /^\d+$/.test(name) && value !== undefined ? [value] : [],
  );
}

/** The names of the variables of a scope that functions in it use. */
export function variablesOf(
  { post }: Inspection,
  scope: RemoteObject,
): string[] {
  return propertiesOf(post, scope).map(({ name }) => name);
}

function propertiesOf(
  post: Post,
  object: RemoteObject | undefined,
): Properties['result'] {
  if (object?.objectId === undefined) return [];
  const { objectId } = object;
  return post<Properties>('Runtime.getProperties', {
    objectId,
    ownProperties: true,
  }).result;
}
