// What MAKEFLAGS says of a job server. Pure: text in, a style out; nothing is
// opened here, and nothing that the text may contain is an error.

/** How a make offers its slots. `word` is what it said, for messages. */
export type Style =
  | { readonly kind: 'none' }
  /** No job server, since one job at a time is all that was asked for. */
  | { readonly kind: 'serial' }
  | {
      readonly kind: 'pipe';
      readonly word: string;
      readonly reader: number;
      readonly writer: number;
    }
  | { readonly kind: 'fifo'; readonly word: string; readonly path: string }
  /** There is a job server, and this process is to work without it. */
  | { readonly kind: 'disabled'; readonly word: string }
  | { readonly kind: 'unknown'; readonly word: string };

const auth = /^--jobserver-(?:auth|fds)=(.*)$/s;
const jobs = /^(?:-j|--jobs=)(\d*)$/;

/**
 * The last word counts (GNU Make manual, "POSIX Jobserver Interaction"):
 * --jobserver-auth=R,W, --jobserver-auth=fifo:PATH, or --jobserver-fds=R,W.
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
 * The words in front of ` -- `; definitions of variables follow it. The first
 * one has no dash where it is a row of letters.
 */
function options(makeflags: string): string[] {
  const words = split(makeflags);
  const end = words.indexOf('--');
  return end < 0 ? words : words.slice(0, end);
}

/** At blanks; a backslash makes the character behind it an ordinary one. */
function split(text: string): string[] {
  const words = text.match(/(?:\\.|[^\s\\]|\\$)+/gs) ?? [];
  return words.map((word) => word.replace(/\\(.)/gs, '$1'));
}

function styleOf(word: string, value: string): Style {
  const path = /^fifo:(.+)$/s.exec(value)?.[1];
  // No path has a null character in it, and Node throws for one.
  if (path !== undefined && !path.includes('\0')) {
    return { kind: 'fifo', word, path };
  }
  const pair = /^(-?)(\d+),(-?)(\d+)$/.exec(value);
  if (pair === null) return { kind: 'unknown', word };
  // Make writes -2,-2 for a recipe that it does not let in.
  if (pair[1] !== '' || pair[3] !== '') return { kind: 'disabled', word };
  const [reader, writer] = [Number(pair[2]), Number(pair[4])];
  if (Math.max(reader, writer) > 0x7fffffff) return { kind: 'unknown', word };
  return { kind: 'pipe', word, reader, writer };
}
