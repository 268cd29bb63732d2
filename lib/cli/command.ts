// What a command is, and how its command line is read.
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { UsageError } from './exit.js';

/** One command, such as `jobserver worker`. */
export interface Command {
  /** What `--help` prints. */
  readonly usage: string;
  /** Resolves with the exit code. Throws UsageError and Failure. */
  run(args: readonly string[]): Promise<number>;
}

type Options = NonNullable<ParseArgsConfig['options']>;

/** What `parseArgs` returns for these options. */
export type Parsed<O extends Options> = ReturnType<
  typeof parseArgs<{ options: O; allowPositionals: true }>
>;

/**
 * Reads the command line of a command.
 *
 * @throws UsageError, with the message of Node, which names the option.
 */
export function parse<O extends Options>(
  command: string | undefined,
  args: readonly string[],
  options: O,
): Parsed<O> {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    if (!isParseError(error)) throw error;
    // Node proposes a `--` that would make a positional of the option.
    const [message] = error.message.split('. To specify a positional');
    throw new UsageError(message!.replace(/\.$/, ''), command);
  }
}

function isParseError(error: unknown): error is Error {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && code.startsWith('ERR_PARSE_ARGS_');
}
