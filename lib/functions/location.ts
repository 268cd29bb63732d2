// Where a function was written, as V8 knows it: script, line, column, and what
// it closes over. Asks an in-process inspector Session, which is synchronous.
// Drivers: funcref in the parent, and in a worker when exports look alike.
import { runInThisContext } from 'node:vm';
import type { Session } from 'node:inspector';

/**
 * 'function' or 'block' when it closes over variables of one: others with the
 * same text and place may exist, and behave differently.
 */
export type Nesting = 'none' | 'block' | 'function';

/** A place; line and column count from 0. */
export interface Place {
  /** URL of the script, or what V8 has instead of one; '' for eval. */
  url: string;
  line: number;
  column: number;
  /** What inside its file it closes over. */
  nesting: Nesting;
  /** All variables of its ES module, for a nested function of one. */
  variables: object | undefined;
}

interface RemoteObject {
  value?: { scriptId: string; lineNumber: number; columnNumber: number };
  objectId?: string;
  description?: string;
}

interface Properties {
  result: { name: string; value?: RemoteObject }[];
  internalProperties?: { name: string; value?: RemoteObject }[];
}

type Post = <T>(method: string, params?: object) => T;

// URLs by script id. An id is never used twice, so an entry stays true.
const scripts = new Map<string, string>();

/**
 * The place of a function that has source text; undefined when V8 knows none.
 * Throws what node:inspector throws where it is missing or not permitted.
 */
export function locate(fn: Function): Place | undefined {
  const inspector =
    require('node:inspector') as typeof import('node:inspector');
  const session = new inspector.Session();
  session.connect();
  try {
    return ask(session, fn);
  } finally {
    session.disconnect();
  }
}

/**
 * The global object of the thread's own realm. It differs from globalThis when
 * this library was loaded into a vm context, as jest does.
 */
export function mainGlobal(): Record<PropertyKey, unknown> {
  main ??= runInThisContext('globalThis') as Record<PropertyKey, unknown>;
  return main;
}

let main: Record<PropertyKey, unknown> | undefined;

function ask(session: Session, fn: Function): Place | undefined {
  const post = poster(session);
  const holder: { fn: Function; variables?: object } = { fn };
  const { holderId, fnId } = handOver(post, holder);
  const found = post<Properties>('Runtime.getProperties', {
    objectId: fnId,
    ownProperties: true,
  });
  const internal = (name: string): RemoteObject | undefined =>
    found.internalProperties?.find((entry) => entry.name === name)?.value;

  const location = internal('[[FunctionLocation]]')?.value;
  if (location === undefined) return undefined;

  const scopes = scopesOf(post, internal('[[Scopes]]'));
  const nesting = nestingOf(scopes.map(({ description = '' }) => description));
  const module = scopes.find(({ description }) => description === 'Module');
  if (nesting !== 'none' && module !== undefined) {
    post('Runtime.callFunctionOn', {
      objectId: module.objectId,
      functionDeclaration: 'function (to) { to.variables = this.object; }',
      arguments: [{ objectId: holderId }],
    });
  }
  return {
    url: urlOf(session, post, location.scriptId),
    line: location.lineNumber,
    column: location.columnNumber,
    nesting,
    variables: holder.variables,
  };
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

// The inspector sees the main realm only, so the function passes through its
// global object; the private symbol is there for the time of one call.
function handOver(
  post: Post,
  holder: object,
): { holderId: string; fnId: string } {
  const key = Symbol.for('jobserver.function');
  const place = mainGlobal();
  Object.defineProperty(place, key, { value: holder, configurable: true });
  try {
    const read = `globalThis[Symbol.for('jobserver.function')]`;
    const objectIdOf = (expression: string): string =>
      post<{ result: { objectId: string } }>('Runtime.evaluate', {
        expression,
        silent: true,
      }).result.objectId;
    return { holderId: objectIdOf(read), fnId: objectIdOf(`${read}.fn`) };
  } finally {
    delete place[key];
  }
}

// Innermost first.
function scopesOf(post: Post, list: RemoteObject | undefined): RemoteObject[] {
  if (list?.objectId === undefined) return [];
  return post<Properties>('Runtime.getProperties', {
    objectId: list.objectId,
    ownProperties: true,
  }).result.flatMap(({ name, value }) =>
    /^\d+$/.test(name) && value !== undefined ? [value] : [],
  );
}

// A scope without captured variables is not listed: what does not capture
// anything is as good as written at the top level.
function nestingOf(scopes: string[]): Nesting {
  const own = scopes.filter((scope) => !/^(Module|Script|Global)$/.test(scope));
  // The function that CommonJS loaders, jest among them, wrap around a file.
  if (/^Closure( \(Object\.<anonymous>\))?$/.test(own.at(-1) ?? '')) own.pop();
  if (own.length === 0) return 'none';
  return own.every((scope) => /^Block/.test(scope)) ? 'block' : 'function';
}

function urlOf(session: Session, post: Post, scriptId: string): string {
  if (!scripts.has(scriptId)) {
    session.on('Debugger.scriptParsed', ({ params }) => {
      const { embedderName, url } = params as typeof params & {
        embedderName?: string;
      };
      // `url` is whatever a sourceURL comment in the text says.
      scripts.set(params.scriptId, embedderName ?? url);
    });
    post('Debugger.enable');
    post('Debugger.disable');
  }
  return scripts.get(scriptId) ?? '';
}
