import type { Experiments, PoolRequest } from '../../dist/vitest/project.js';
import { rehearsalOf } from '../../dist/vitest/script.js';

/** Whether there is one, with these experiments of a project and of vitest. */
async function isRehearsed(
  own: Experiments,
  common: Experiments = {},
): Promise<boolean> {
  const project = {
    serializedConfig: { experimental: own },
    vitest: { config: { experimental: common } },
    vite: { ssrTransform: () => Promise.resolve({ code: '' }) },
  };
  const environment = { name: 'node' };
  const request = { project, environment } as unknown as PoolRequest;
  return (await rehearsalOf(request, 'worker.js')) !== undefined;
}

test('files are rehearsed unless vitest decides once for a process', async () => {
  const traced = { openTelemetry: { enabled: true } };
  const untraced = { openTelemetry: { enabled: false } };
  expect(await isRehearsed({})).toBe(true);
  expect(await isRehearsed({ viteModuleRunner: false })).toBe(false);
  expect(await isRehearsed(traced)).toBe(false);
  expect(await isRehearsed({}, traced)).toBe(false);
  expect(await isRehearsed(untraced, traced)).toBe(true);
});
