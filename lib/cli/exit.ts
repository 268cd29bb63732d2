// How the command ends.

/** The exit codes that docs/cluster.md lists; a second signal ends with 128 + its number. */
export const exitCodes = { done: 0, failed: 1, usage: 2 } as const;

/** The command line is wrong, so that nothing was done. */
export class UsageError extends Error {
  override readonly name = 'UsageError';

  /** @param command whose `--help` tells more, if it is one of a command. */
  constructor(
    message: string,
    readonly command?: string,
  ) {
    super(message);
  }
}

/** The command has failed. The message has the whole reason, so no stack is printed. */
export class Failure extends Error {
  override readonly name = 'Failure';
}
