// Asks V8 where the source of a function is: its script, line and column, and
// which scopes it closes over. It does so by an inspector Session within the
// process, which answers synchronously. The parent asks to name a function, and
// a worker asks when several exports have the same text.
import type { Session } from 'node:inspector';
import { mainGlobal } from '../system/main-global.js';

/**
 * Whether a function closes over variables of a function or block. If so, other
 * functions with the same text and location may exist and behave differently.
 */
export type Nesting = 'none' | 'block' | 'function';

/** Line and column count from 0. */
export interface SourceLocation {
  /** URL of the script, or the name that V8 has instead; '' for eval. */
  url: string;
  line: number;
  column: number;
  nesting: Nesting;
  isInModule: boolean;
  /** For a nested function of an ES module: all variables of the module. */
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

// URLs by script id. V8 does not reuse an id, so an entry stays valid.
const scripts = new Map<string, string>();

/**
 * The location of a function that has source text; undefined when V8 has none.
 * Throws what node:inspector throws where it is missing or not permitted.
 */
export function locate(fn: Function): SourceLocation | undefined {
  const inspector =
    require('node:inspector') as typeof import('node:inspector');
  const session = new inspector.Session();
  session.connect();
  try {
    return inspect(session, fn);
  } finally {
    session.disconnect();
  }
}

function inspect(session: Session, fn: Function): SourceLocation | undefined {
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
    isInModule: module !== undefined,
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

// The scopes of a function, the innermost first.
function scopesOf(post: Post, list: RemoteObject | undefined): RemoteObject[] {
  if (list?.objectId === undefined) return [];
  return post<Properties>('Runtime.getProperties', {
    objectId: list.objectId,
    ownProperties: true,
  }).result.flatMap(({ name, value }) =>
    /^\d+$/.test(name) && value !== undefined ? [value] : [],
  );
}

// V8 lists only scopes of which a variable is captured. A function that
// captures none behaves like one at the top level.
function nestingOf(scopes: string[]): Nesting {
  const own = scopes.filter((scope) => !/^(Module|Script|Global)$/.test(scope));
  // The function that a CommonJS loader, such as jest's, wraps around a file.
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
      // A sourceURL comment in the text changes `url`, but not `embedderName`.
      scripts.set(params.scriptId, embedderName ?? url);
    });
    post('Debugger.enable');
    post('Debugger.disable');
  }
  return scripts.get(scriptId) ?? '';
}
