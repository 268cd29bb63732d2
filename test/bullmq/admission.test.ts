import { type HostTerms, checkFresh } from '../../dist/bullmq/admission.js';
import type { CallEnvelope } from '../../dist/bullmq/envelope.js';
import { rejection } from '../helpers/thrown.js';

const envelope = { executor: 'x', isDetached: true, sentAt: Date.now() };

/** Of a host whose server has these keys. Each reply to a SET is lost. */
function termsOf(keys: Map<string, string>): HostTerms {
  const set = (key: string, value: string): Promise<null> => {
    if (!keys.has(key)) keys.set(key, value);
    // ioredis has sent it again.
    return Promise.resolve(null);
  };
  const get = (key: string): Promise<string | null> =>
    Promise.resolve(keys.get(key) ?? null);
  const connection = {
    redis: { set, get },
    keyring: { hasKey: true },
    keyOf: (name: string) => name,
  };
  return { connection, host: 'mill' } as unknown as HostTerms;
}

test('a job is not taken for an old one because a reply was lost; it begins once', async () => {
  const terms = termsOf(new Map());
  const check = (): Promise<void> =>
    checkFresh(terms, { id: 'a' }, envelope as CallEnvelope);
  await check();
  expect(await rejection(check())).toMatchObject({
    code: 'ERR_JOBSERVER_REFUSED',
  });
});
