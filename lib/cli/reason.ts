/** Why something has failed, in one line for a log. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message, name } = error;
  const { code } = error as NodeJS.ErrnoException;
  // That several addresses of one host cannot be reached is an error without text.
  const text = message === '' ? (code ?? name) : message;
  return code === undefined || text.includes(code) ? text : `${text} (${code})`;
}
