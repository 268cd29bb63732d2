import { fstatSync } from 'node:fs';
import { setImmediate as turnOfLoop } from 'node:timers/promises';
import { allocate, share } from '../../dist/memory/allocate.js';
import {
  detachPiece,
  closePieces,
  isMapped,
  pieceOf,
  tableOf,
} from '../../dist/memory/pieces.js';
import { inspect } from '../../dist/memory/segment.js';
import { collectGarbage } from '../helpers/collect.js';
import { checkLeaks } from '../helpers/leaks.js';
import { until } from '../helpers/until.js';

checkLeaks();

const mega = 1 << 20;

const idOf = (buffer: ArrayBuffer): string =>
  inspect(pieceOf(buffer)!.file.number).id;

const isOpen = (fd: number): boolean => {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
};

test('a buffer of a megabyte and more has a piece; smaller ones are ordinary', () => {
  const [small, large] = [allocate(mega - 1), allocate(mega)];
  expect([isMapped(small), isMapped(large)]).toEqual([false, true]);
  expect(pieceOf(small)).toBe(undefined);
  expect(pieceOf(large)).toMatchObject({ length: mega, isBorrowed: false });
});

test('a buffer that was detached has no piece', () => {
  const buffer = allocate(mega);
  const piece = pieceOf(buffer)!;
  detachPiece(buffer, piece);
  expect([buffer.byteLength, isMapped(buffer)]).toEqual([0, true]);
  expect(pieceOf(buffer)).toBe(undefined);
  expect(isOpen(piece.file.number)).toBe(true);
  piece.file.close();
});

test('the file of a buffer is closed when the buffer has been collected', async () => {
  const fds = [allocate(mega), share(8)].map(
    (buffer) => pieceOf(buffer)!.file.number,
  );
  expect(fds.map(isOpen)).toEqual([true, true]);
  await turnOfLoop();
  await until('it to be collected', () => {
    collectGarbage();
    return !fds.some(isOpen);
  });
});

test('what is shared is found by the id of its file, until it is collected', async () => {
  let table: ArrayBuffer | undefined = share(8);
  const id = idOf(table);
  expect(tableOf(id)).toBe(table);
  expect(tableOf(idOf(allocate(mega)))).toBe(undefined);
  await turnOfLoop();
  table = undefined;
  await until('it to be collected', () => {
    collectGarbage();
    return tableOf(id) === undefined;
  });
});

test('after closePieces, only what is shared has a piece', () => {
  const [own, table] = [allocate(mega), share(8)];
  const { file } = pieceOf(own)!;
  closePieces();
  expect([pieceOf(own), file.number]).toEqual([undefined, -1]);
  expect(pieceOf(table)).toBeDefined();
  expect(own.byteLength).toBe(mega);
});
