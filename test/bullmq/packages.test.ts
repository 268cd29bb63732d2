import { bullmq, ioredis } from '../../dist/bullmq/packages.js';

test('the installed packages are recent enough', () => {
  expect(typeof bullmq().Queue).toBe('function');
  expect(typeof ioredis().Redis).toBe('function');
});
