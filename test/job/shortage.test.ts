import {
  addStarted,
  awaitEnd,
  isShortage,
  removeEnded,
  removeRefused,
  retryIfNoneRuns,
  stopAwaitingEnd,
} from '../../dist/job/shortage.js';

const shortage = Object.assign(new Error(), { code: 'EMFILE' });

test('an error is a shortage only while a job runs that may mend it', () => {
  expect(isShortage(shortage)).toBe(false);
  addStarted();
  expect(isShortage(shortage)).toBe(true);
  expect(isShortage(Object.assign(new Error(), { code: 'EACCES' }))).toBe(
    false,
  );
  removeEnded();
  expect(isShortage(shortage)).toBe(false);
});

test('each end of a job retries the waiters in order, until one fails', () => {
  const retried: number[] = [];
  const waiters = [true, false, true].map((succeeds, i) => ({
    retry: () => {
      retried.push(i);
      return succeeds;
    },
  }));
  addStarted();
  waiters.forEach(awaitEnd);
  removeEnded();
  expect(retried).toEqual([0, 1]);
  expect(waiters.map(stopAwaitingEnd)).toEqual([false, true, true]);
});

test('a refusal retries the waiters only when no job is left', () => {
  const retry = jest.fn(() => true);
  addStarted();
  addStarted();
  awaitEnd({ retry });
  removeRefused();
  retryIfNoneRuns();
  expect(retry).not.toHaveBeenCalled();
  removeRefused();
  retryIfNoneRuns();
  expect(retry).toHaveBeenCalledTimes(1);
});
