// Asks V8 where the source of a function is: its script, line and column, and
// which scopes it closes over. The parent asks to name a function, and a worker
// asks when several exports have the same text.
import { readFileSync } from 'node:fs';
import type { Profiler, Session } from 'node:inspector';
import { textOf } from './exports.js';
import {
  type Inspection,
  type Post,
  type RemoteObject,
  inspect,
  scopesOf,
} from './inspection.js';
import { fileOf } from './url.js';

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

// The same as the coverage has them, where a sourceURL comment in the text changes them.
const coveredScripts = new Map<string, string>();
let isCoverageUsed = true;

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
  holder: { fn: Function; variables?: object },
): SourceLocation | undefined {
  const { post, holderId, internal } = inspection;
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
    url: urlOf(inspection, location, holder.fn),
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

function urlOf(
  { session, post }: Inspection,
  place: Place,
  fn: Function,
): string {
  const { scriptId } = place;
  if (!scripts.has(scriptId) && isCoverageUsed) {
    const url = coveredUrl(post, scriptId);
    if (url !== undefined && isAt(url, place, fn)) scripts.set(scriptId, url);
  }
  if (!scripts.has(scriptId)) {
    listScripts(session, post);
    isCoverageUsed = false;
  }
  return scripts.get(scriptId) ?? '';
}

/**
 * Takes a tenth of the time of a first `listScripts`, in which V8 hashes the text of
 * each script, also of Node's own. Knows no script of which nothing has run, or of which
 * V8 has collected what ran. Does without `Profiler.enable`, because `Profiler.disable`,
 * and the end of a session that has enabled it, end the precise coverage of the program.
 */
function coveredUrl(post: Post, scriptId: string): string | undefined {
  if (!coveredScripts.has(scriptId)) {
    const { result } = post<Coverage>('Profiler.getBestEffortCoverage');
    for (const { scriptId: id, url } of result) coveredScripts.set(id, url);
  }
  return coveredScripts.get(scriptId);
}

type Place = NonNullable<RemoteObject['value']>;
type Coverage = Profiler.GetBestEffortCoverageReturnType;

/** Whether the file has the text of the function at this place. */
function isAt(
  url: string,
  { lineNumber, columnNumber }: Place,
  fn: Function,
): boolean {
  const file = fileOf(url);
  if (file === undefined) return false;
  let text;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return false;
  }
  const ends = text.matchAll(/\r\n|[\n\r\u2028\u2029]/g);
  let line = 0;
  for (let i = 0; i < lineNumber; i++) {
    const { value } = ends.next();
    if (value === undefined) return false;
    line = value.index + value[0].length;
  }
  // That of the parameters, after the name.
  const place = line + columnNumber;
  const own = textOf(fn);
  const start = text.lastIndexOf(own, place);
  return start >= 0 && place < start + own.length;
}

function listScripts(session: Session, post: Post): void {
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
