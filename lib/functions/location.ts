// Asks V8 where the source of a function is: its script, line and column, and
// which scopes it closes over. The parent asks to name a function, and a worker
// asks when several exports have the same text.
import type { Session } from 'node:inspector';
import { type Inspection, type Post, inspect, scopesOf } from './inspection.js';

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

// URLs by script id. V8 does not reuse an id, so an entry stays valid.
const scripts = new Map<string, string>();

/**
 * The location of a function that has source text; undefined when V8 has none.
 * Throws what node:inspector throws where it is missing or not permitted.
 */
export function locate(fn: Function): SourceLocation | undefined {
  const holder: { fn: Function; variables?: object } = { fn };
  return inspect(holder, (inspection) => locationOf(inspection, holder));
}

function locationOf(
  inspection: Inspection,
  holder: { variables?: object },
): SourceLocation | undefined {
  const { session, post, holderId, internal } = inspection;
  const location = internal('[[FunctionLocation]]')?.value;
  if (location === undefined) return undefined;

  const scopes = scopesOf(inspection);
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
