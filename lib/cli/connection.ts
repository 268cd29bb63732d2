// The options by which a command finds its queue.
import { readFileSync } from 'node:fs';
import type { Parsed } from './command.js';
import { UsageError } from './exit.js';

export const connectionOptions = {
  queue: { type: 'string', short: 'q' },
  version: { type: 'string' },
  key: { type: 'string' },
  'key-file': { type: 'string' },
} as const;

export const connectionUsage = `  -q, --queue NAME     the queue; default: jobserver
      --version TEXT   the version of the code: hosts and programs meet only with the
                       same one. The commit is a good one; default: none
      --key-file FILE  has the key that signs jobs; default: JOBSERVER_KEY, if it is
                       set. There is no option for the key itself, because every user
                       of a machine can read the command lines of all processes
`;

export interface Connection {
  readonly url: string;
  readonly queue: string;
  readonly version: string | undefined;
  readonly key: string | undefined;
  /** The URL with its password left out. */
  readonly shownUrl: string;
  /** Whether the command line shows a password to all users of the machine. */
  readonly showsPassword: boolean;
}

type Given = Parsed<typeof connectionOptions>;

/** @throws UsageError */
export function connectionOf(
  { values, positionals }: Pick<Given, 'values' | 'positionals'>,
  command: string,
): Connection {
  if (values.key !== undefined) {
    throw new UsageError(
      'There is no --key, because every user of this machine can read it there: put ' +
        'the key into a file and use --key-file, or set JOBSERVER_KEY',
      command,
    );
  }
  const [first, second] = positionals;
  if (second !== undefined) {
    throw new UsageError(
      `Only one URL is expected; got ${positionals.length}`,
      command,
    );
  }
  const url = first ?? process.env['JOBSERVER_URL'] ?? '';
  if (url === '') {
    throw new UsageError(
      'The URL of Redis is missing: redis://HOST:PORT as the last argument or in ' +
        'JOBSERVER_URL',
      command,
    );
  }
  const parsed = parsedUrl(url, command);
  const showsPassword = first !== undefined && parsed.password !== '';
  if (parsed.password !== '') parsed.password = '***';
  const { queue = 'jobserver', version } = values;
  const key = keyOf(values['key-file'], command);
  return { url, queue, version, key, shownUrl: parsed.href, showsPassword };
}

function parsedUrl(url: string, command: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed !== undefined && /^rediss?:$/.test(parsed.protocol)) return parsed;
  // The text may hold a password.
  throw new UsageError(
    'The URL has to be redis://HOST:PORT, or rediss://HOST:PORT for TLS',
    command,
  );
}

function keyOf(file: string | undefined, command: string): string | undefined {
  if (file === undefined) {
    const key = process.env['JOBSERVER_KEY'];
    return key === '' ? undefined : key;
  }
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`--key-file ${file} cannot be read: ${code}`, command);
  }
  const key = text.trim();
  if (key !== '') return key;
  throw new UsageError(`--key-file ${file} is empty`, command);
}
