import { isOlder } from '../../dist/system/version.js';

test.each([
  ['6.6.9', true],
  ['5.70.0', true],
  ['6.7.0', false],
  ['6.10.1', false],
  ['7.0.0-beta.1', false],
])('whether %s is older than 6.7: %s', (version, expected) => {
  expect(isOlder(version, '6.7')).toBe(expected);
});
