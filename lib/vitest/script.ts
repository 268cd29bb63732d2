// What the rehearsal is given: a test file that does what most test files do, and the
// configuration of the project without what would run code of the user.
import { trace } from '../system/trace.js';
import type { Config, Experiments, PoolRequest } from './project.js';
import type { RehearsalData } from './rehearsal.js';

const script = `
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
let count = 0;
beforeEach(() => { count += 1; });
afterEach(() => { vi.restoreAllMocks(); });
describe('a suite', () => {
  test('values', () => {
    expect(1 + 1).toBe(2);
    expect({ a: [1, { b: 'c' }] }).toEqual({ a: [1, { b: 'c' }] });
    expect([1, 2]).toContain(2);
    expect('text').toMatch(/ex/);
    expect({ a: 1, b: 2 }).toMatchObject({ a: 1 });
    expect(() => { throw new Error('x'); }).toThrow('x');
    expect(() => expect({ a: 1 }).toEqual({ a: 2 })).toThrow();
  });
  test('promises and mocks', async () => {
    await expect(Promise.resolve(3)).resolves.toBe(3);
    const f = vi.fn((x) => x + 1);
    f(1);
    expect(f).toHaveBeenCalledWith(1);
    vi.spyOn(Math, 'max').mockReturnValue(7);
    expect(Math.max(1)).toBe(7);
  });
  test.each([1, 2, 3])('each %i', (n) => { expect(n).toBeGreaterThan(0); });
  test('a document', () => {
    if (typeof document === 'undefined') return;
    document.body.innerHTML = '<div id="a" class="b"><button>c</button></div>';
    const button = document.querySelector('.b button');
    const onClick = vi.fn();
    button.addEventListener('click', onClick);
    button.click();
    expect(onClick).toHaveBeenCalledOnce();
    const p = document.createElement('p');
    p.textContent = 'text';
    document.body.append(p);
    expect(document.body.textContent).toBe('ctext');
    document.body.innerHTML = '';
  });
});
`;

const environments = ['node', 'jsdom', 'happy-dom', 'edge-runtime'];

/** Undefined where a rehearsal would not be like a file. */
export async function rehearsalOf(
  { project, environment }: PoolRequest,
  worker: string,
): Promise<RehearsalData | undefined> {
  const config = project.serializedConfig as Config;
  const { experimental = {} } = config as { experimental?: Experiments };
  const { viteModuleRunner, openTelemetry } = experimental;
  // vitest decides these once for a process.
  if (viteModuleRunner === false) return undefined;
  const {
    enabled = project.vitest.config.experimental?.openTelemetry?.enabled,
  } = openTelemetry ?? {};
  if (enabled === true) return undefined;
  try {
    const transformed = await project.vite.ssrTransform(script, null, 'script');
    if (transformed === null) return undefined;
    const { name, options = null } = environment;
    return {
      worker,
      config: withoutUserCode(config),
      environment: environments.includes(name)
        ? { name, options }
        : { name: 'node', options: null },
      code: transformed.code,
    };
  } catch (error) {
    trace('no rehearsal of vitest: %o', error);
    return undefined;
  }
}

function withoutUserCode(config: Config): Config {
  return {
    ...config,
    setupFiles: [],
    snapshotSerializers: [],
    runner: undefined,
    diff: undefined,
    detectAsyncLeaks: false,
    coverage: { ...(config['coverage'] as object), enabled: false },
    snapshotOptions: {
      ...(config['snapshotOptions'] as object),
      snapshotEnvironment: null,
    },
    // What the user filters by must not filter it.
    testNamePattern: undefined,
    tagsFilter: undefined,
    allowOnly: true,
  };
}
