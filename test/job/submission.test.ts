import type { SlotLine } from '../../dist/job/slot-line.js';
import { type SlotRequest, Submission } from '../../dist/job/submission.js';
import { Token } from '../../dist/slots/token.js';
import { never } from '../../dist/system/deadline.js';

/** A line that gives the tokens of `tryTake`, and calls `add` for a waiter. */
function lineOf(
  tryTake: () => Token | undefined,
  add: () => void = () => undefined,
): SlotLine {
  return { tryTake, add, delete: () => undefined } as unknown as SlotLine;
}

interface Outcome {
  readonly tokens: Token[];
  readonly errors: unknown[];
  readonly request: SlotRequest;
}

function request(changes: Partial<SlotRequest> = {}): Outcome {
  const tokens: Token[] = [];
  const errors: unknown[] = [];
  return {
    tokens,
    errors,
    request: {
      consume: 1,
      borrowing: 'late',
      gate: () => undefined,
      deadline: never,
      functions: () => [],
      signal: undefined,
      onSlot: (token) => tokens.push(token),
      onError: (error) => errors.push(error),
      ...changes,
    },
  };
}

const starts = ['start', 'startSync'] as const;

test.each(starts)('%s fails when the line cannot be joined', (start) => {
  const refusal = new Error('EMFILE: open a selector');
  const line = lineOf(
    () => undefined,
    () => {
      throw refusal;
    },
  );
  const { errors, tokens, request: given } = request();
  const submission = new Submission(line, given);
  submission[start]();
  expect({ errors, tokens }).toEqual({ errors: [refusal], tokens: [] });
  expect(submission.isSettled).toBe(true);
});

test.each(starts)('%s fails when its gate aborts the signal', (start) => {
  const abort = new AbortController();
  const {
    errors,
    tokens,
    request: given,
  } = request({
    signal: abort.signal,
    gate: () => {
      abort.abort('enough');
      return undefined;
    },
  });
  const free = lineOf(() => new Token(1, () => undefined));
  new Submission(free, given)[start]();
  expect(tokens).toEqual([]);
  expect(errors).toMatchObject([{ name: 'AbortError', cause: 'enough' }]);
});

test('a token that comes after the end of the wait is given back', () => {
  const given: number[] = [];
  const { errors, tokens, request: conditions } = request();
  const line = lineOf(() => {
    submission.fail(new Error('closed meanwhile'));
    return new Token(7, () => void given.push(7));
  });
  const submission = new Submission(line, conditions);
  submission.start();
  expect({ given, tokens }).toEqual({ given: [7], tokens: [] });
  expect(errors).toHaveLength(1);
});
