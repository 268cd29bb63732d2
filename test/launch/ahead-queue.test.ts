import { type AheadJob, AheadQueue } from '../../dist/launch/ahead-queue.js';
import { Claims } from '../../dist/protocol/claims.js';

describe('AheadQueue', () => {
  /** A queue behind job 1, and the claims as the worker has them. */
  const open = (): { queue: AheadQueue; worker: Claims } => {
    const { claims, file } = Claims.open();
    const worker = new Claims(file.number);
    file.close();
    claims.offer(1);
    const queue = new AheadQueue(claims);
    queue.start(1);
    return { queue, worker };
  };

  const job = (number: number): AheadJob =>
    ({ number, end: 0 }) as unknown as AheadJob;

  /** Adds jobs from `first` on and takes each back, as long as there is room. */
  const churn = (queue: AheadQueue, first: number, length: number): number => {
    let number = first;
    while (queue.hasRoomAfter(number - 1)) {
      const added = job(number++);
      queue.add(added, length);
      expect(queue.recall(added)).toBe(true);
    }
    return number;
  };

  test('jobs that are taken back do not use the words of others', () => {
    const { queue, worker } = open();
    const kept = job(2);
    queue.add(kept, 10);
    expect(churn(queue, 3, 10)).toBe(65);
    expect([1, 2, 3, 64].map((number) => worker.claim(number))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(queue.recall(kept)).toBe(false);
  });

  test('bytes that may still be in the socket take up room', () => {
    const { queue } = open();
    expect(churn(queue, 2, 32 << 10)).toBeLessThan(5);
  });

  test('there is room again once the next job runs', () => {
    const { queue } = open();
    queue.add(job(2), 10);
    const next = churn(queue, 3, 10);
    expect(queue.shift()?.number).toBe(2);
    expect(queue.hasRoomAfter(next - 1)).toBe(true);
    queue.start(next);
    expect(queue.hasRoomAfter(next)).toBe(true);
  });

  test('after the highest number, there is no room until a job starts', () => {
    const { queue } = open();
    queue.start(2 ** 30);
    expect(queue.hasRoomAfter(1)).toBe(false);
    queue.start(1);
    expect(queue.hasRoomAfter(1)).toBe(true);
  });
});
