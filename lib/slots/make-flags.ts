// Parses what MAKEFLAGS says about a job server. Opens nothing, and returns a
// style for every text: none is an error.

/** How make offers its slots. `word` is the word in MAKEFLAGS, for messages. */
export type Style =
  | { readonly kind: 'none' }
  /** There is no job server: make was asked to run one job at a time. */
  | { readonly kind: 'serial' }
  | {
      readonly kind: 'pipe';
      readonly word: string;
      readonly reader: number;
      readonly writer: number;
    }
  | { readonly kind: 'fifo'; readonly word: string; readonly path: string }
  /** There is a job server, but make does not let this recipe use it. */
  | { readonly kind: 'disabled'; readonly word: string }
  | { readonly kind: 'unknown'; readonly word: string };

const auth = /^--jobserver-(?:auth|fds)=(.*)$/s;
const jobs = /^(?:-j|--jobs=)(\d*)$/;

/**
 * The last of these words counts: --jobserver-auth=R,W,
 * --jobserver-auth=fifo:PATH or --jobserver-fds=R,W. See the GNU Make manual,
 * "POSIX Jobserver Interaction".
 */
export function parseMakeflags(makeflags: string): Style {
  let style: Style = { kind: 'none' };
  let isSerial = false;
  for (const word of options(makeflags)) {
    const value = auth.exec(word)?.[1];
    if (value !== undefined) style = styleOf(word, value);
    const limit = jobs.exec(word)?.[1];
    if (limit !== undefined) isSerial = Number(limit) === 1;
  }
  return style.kind === 'none' && isSerial ? { kind: 'serial' } : style;
}

/**
 * The words before ` -- `, which variable definitions follow. The first word
 * has no dash when it consists of single-letter options.
 */
function options(makeflags: string): string[] {
  const words = split(makeflags);
  const end = words.indexOf('--');
  return end < 0 ? words : words.slice(0, end);
}

/** Splits at white space. A backslash escapes the character after it. */
function split(text: string): string[] {
  const words = text.match(/(?:\\.|[^\s\\]|\\$)+/gs) ?? [];
  return words.map((word) => word.replace(/\\(.)/gs, '$1'));
}

function styleOf(word: string, value: string): Style {
  const path = /^fifo:(.+)$/s.exec(value)?.[1];
  // A path cannot contain a null character, and Node throws for one.
  if (path !== undefined && !path.includes('\0')) {
    return { kind: 'fifo', word, path };
  }
  const pair = /^(-?)(\d+),(-?)(\d+)$/.exec(value);
  if (pair === null) return { kind: 'unknown', word };
  // Make writes -2,-2 for a recipe that may not use its job server.
  if (pair[1] !== '' || pair[3] !== '') return { kind: 'disabled', word };
  const [reader, writer] = [Number(pair[2]), Number(pair[4])];
  if (Math.max(reader, writer) > 0x7fffffff) return { kind: 'unknown', word };
  return { kind: 'pipe', word, reader, writer };
}
