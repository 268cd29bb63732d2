// Says in an error of the user where it was thrown.
import { types } from 'node:util';

/** Adds a sentence to the message and the stack of an error, once. */
export function annotate(error: unknown, sentence: string): unknown {
  const note = `. ${sentence}`;
  if (!types.isNativeError(error) || error.message.endsWith(note)) return error;
  const { message, stack = '' } = error;
  // The stack begins with the message.
  Reflect.set(
    error,
    'stack',
    stack.replace(message, () => message + note),
  );
  Reflect.set(error, 'message', message + note);
  return error;
}
