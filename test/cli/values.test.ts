import { Histogram } from '../../dist/cli/histogram.js';
import { Metrics } from '../../dist/cli/metrics.js';
import { addressOf, slotsOf } from '../../dist/cli/values.js';

const defaultSlots = process.env['JOBSERVER_SLOTS'];
beforeAll(() => {
  process.env['JOBSERVER_SLOTS'] = '8';
});
afterAll(() => {
  if (defaultSlots === undefined) delete process.env['JOBSERVER_SLOTS'];
  else process.env['JOBSERVER_SLOTS'] = defaultSlots;
});

test.each([
  ['3', 3],
  ['50%', 4],
  ['1%', 1],
  ['200%', 16],
  ['+2', 10],
  ['-2', 6],
  ['-8', 1],
])('%s of eight slots is %i', (text, slots) => {
  expect(slotsOf(text, 'worker')).toBe(slots);
});

test.each([
  ['80', { host: undefined, port: 80 }],
  ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
  ['[::1]:9090', { host: '::1', port: 9090 }],
])('%s is an address', (text, address) => {
  expect(addressOf(text, '--health', 'worker')).toEqual(address);
});

test('a histogram counts in each bucket all values up to its bound', () => {
  const histogram = new Histogram();
  for (const seconds of [0.001, 0.002, 0.3, 7200]) histogram.record(seconds);
  const lines = histogram.lines('x');

  expect(lines).toContain('x_bucket{le="0.0005"} 0');
  expect(lines).toContain('x_bucket{le="0.001"} 1');
  expect(lines).toContain('x_bucket{le="0.0025"} 2');
  expect(lines).toContain('x_bucket{le="3600"} 3');
  expect(lines).toContain('x_bucket{le="+Inf"} 4');
  expect(lines).toContain('x_count 4');
  expect(lines).toContain('x_sum 7200.303');
});

test('metrics are lines of the text format, with labels escaped', () => {
  const metrics = new Metrics({ queue: 'a"\\\nb' });
  metrics.ended('value', 20, 100);
  metrics.ended('lost');
  const text = metrics.text({
    running: 2,
    slots: undefined,
    isConnected: true,
    isDraining: false,
  });

  expect(text).toContain('jobserver_worker_info{queue="a\\"\\\\\\nb"} 1\n');
  expect(text).toContain('jobserver_jobs_total{outcome="value"} 1\n');
  expect(text).toContain('jobserver_jobs_total{outcome="lost"} 1\n');
  expect(text).toContain('jobserver_job_run_seconds_count 1\n');
  expect(text).not.toContain('jobserver_slots');
  const line =
    /^(# (HELP|TYPE) \w+ .+|[a-z_]+(\{\w+="[^\n]*"(,\w+="[^\n]*")*\})? [\d.e+-]+)$/;
  for (const each of text.trimEnd().split('\n')) expect(each).toMatch(line);
});
