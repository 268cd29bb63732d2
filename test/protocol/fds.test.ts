// The numbers that TypeScript and C++ share: both sides are written by hand.
import { readFileSync } from 'node:fs';
import { inheritedStdio } from '../../dist/output/plan.js';
import { tokenWord } from '../../dist/protocol/claims.js';
import {
  childSteps,
  mostPassedFds,
  packRequest,
  reportInts,
  reportKinds,
  requestFds,
  requestInts,
  unpackJobFds,
  zygoteStates,
} from '../../dist/protocol/fds.js';

const header = readFileSync('native/protocol.h', 'utf8');

/** The enumerators of one enum in the header, as `{ kName: number }`. */
function enumOf(name: string): Record<string, number> {
  const [, body] = header.match(new RegExp(`enum ${name} : int {([^}]*)}`))!;
  const entries = body!.matchAll(/^ *(k\w+) = (\d+),$/gm);
  return Object.fromEntries(
    Array.from(entries, ([, key, value]) => [key!, Number(value)]),
  );
}

/** `{ started: 1 }` as `{ kStarted: 1 }`, with a suffix. */
function asEnum(
  table: Readonly<Record<string, number>>,
  suffix = '',
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(table).map(([name, value]) => [
      `k${name[0]!.toUpperCase()}${name.slice(1)}${suffix}`,
      value,
    ]),
  );
}

test('the kinds of reports have the same numbers in C++', () => {
  expect(enumOf('ReportKind')).toEqual(asEnum(reportKinds));
});

test('the states of a zygote have the same numbers in C++', () => {
  expect(enumOf('ZygoteState')).toEqual(asEnum(zygoteStates));
});

test('the steps of a child have the same numbers in C++', () => {
  expect(enumOf('ChildStep')).toEqual(asEnum(childSteps));
});

test('requests and reports have the same sizes in C++', () => {
  expect(enumOf('MessageInts')).toEqual(asEnum({ requestInts, reportInts }));
  const passing = readFileSync('native/passing.h', 'utf8');
  expect(passing).toContain(`kMostPassed = ${mostPassedFds};`);
});

test('the fds that the zygote uses have the same positions in C++', () => {
  expect(enumOf('RequestFd')).toEqual(asEnum(requestFds, 'Fd'));
});

test('the token is in the same word of the claims in C++', () => {
  expect(enumOf('TokenPlace')).toEqual(asEnum({ tokenWord }));
});

test('a request has each fd at its position', () => {
  const fds = { order: 13, result: 14, zygote: 15, inherited: [16, 17, 18] };
  const stdio = { input: 19, stdout: 11, stderr: 12 };
  const request = packRequest(10, { ...fds, stdio });
  const positions = Object.entries(requestFds).map(([name, position]) => [
    name,
    request[position],
  ]);
  expect(Object.fromEntries(positions)).toEqual({
    ...{ report: 10, stdout: 11, stderr: 12 },
    ...{ order: 13, result: 14, zygote: 15, firstInherited: 16 },
  });
  expect(request.at(-1)).toBe(19);
});

test('a job unpacks the fds that the request has after those of the zygote', () => {
  const fds = { order: 13, result: 14, zygote: 15, inherited: [16, 17, 18] };
  const request = packRequest(10, { ...fds, stdio: inheritedStdio });
  const passed = request.slice(requestFds.order);
  expect(unpackJobFds(passed)).toEqual(fds);
});
