import type { Context } from '../../dist/context.js';
import { CallbackRaised, type Jobserver } from '../../dist/index.js';
import { openJobserver } from '../helpers/jobserver.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';
import { failure, ofClosing, useRaising } from './raising-setup.js';

/** whenDone: callbacks that throw while a Jobserver closes. */
export function raisingCloseContract(context: Context): void {
  const submitRaising = useRaising();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });

  describe('at close', () => {
    let emitWarning: jest.SpyInstance;
    beforeEach(() => {
      emitWarning = jest.spyOn(process, 'emitWarning').mockReturnValue();
    });
    afterEach(() => emitWarning.mockRestore());
    const warnings = (): string[] =>
      emitWarning.mock.calls.map(([warning]) => String(warning));

    test.each(ofClosing)(
      '%s throws the first unreported failure and emits warnings for the others',
      async (_, close) => {
        const js = open(2);
        const causes = [new Error('a'), new RangeError('b'), 'c'];
        const first = await submitRaising(js, ...causes);
        const second = await submitRaising(js, 'd');
        first.gate.open();
        await until('the first to have ended', () => first.called.length > 0);
        second.gate.open();
        await until('the second to have ended', () => second.called.length > 0);
        const error = await failure(() => close(js, first.future));
        expect(error).toMatchObject({ name: 'CallbackRaised', seqno: 0 });
        expect((error as Error).cause).toBe(causes[0]);
        expect([first.called, second.called]).toEqual([
          [0, 1, 2, 3],
          [0, 1],
        ]);
        const texts = warnings().sort();
        expect(texts.length).toBe(3);
        for (const text of ['RangeError: b', ': c', ': d']) {
          expect(texts.filter((warning) => warning.includes(text))).toEqual([
            expect.stringContaining('CallbackRaised'),
          ]);
        }
        // Every failure has been reported.
        await js.close();
        js.closeSync();
        expect(await first.future.wait()).toBe(true);
        expect(warnings().length).toBe(3);
      },
    );

    test('close throws what a callback throws while it waits, after everything is closed', async () => {
      const js = open(1);
      const { future, gate, called } = await submitRaising(js, 'a');
      const closing = rejection(js.close());
      gate.open();
      expect(await closing).toMatchObject({ seqno: 0, cause: 'a' });
      expect(js.running).toBe(0);
      await until('the other callbacks', () => called.length > 1);
      expect(await future.result()).toBe('value');
      expect(warnings()).toEqual([]);
    });

    test('a failure that another call has thrown is not reported again', async () => {
      const js = open(1);
      const { future, gate } = await submitRaising(js, 'a');
      gate.open();
      expect(await rejection(future.wait())).toMatchObject({ cause: 'a' });
      await js.close();
      js.closeSync();
      expect(warnings()).toEqual([]);
    });

    test('a callback that throws after closeSync is reported by its future', async () => {
      const js = open(1);
      const { future, gate, called } = await submitRaising(js, 'a');
      js.closeSync();
      gate.open();
      await until('the event loop to call back', () => called.length > 0);
      expect(await rejection(future.wait())).toMatchObject({ cause: 'a' });
      expect(await future.result()).toBe('value');
      expect(called).toEqual([0, 1]);
    });
  });

  test('CallbackRaised has the number of its callback and throws for an invalid one', () => {
    const cause = new Error('on purpose');
    const error = new CallbackRaised(7, { cause });
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ seqno: 7, cause });
    expect(error).toMatchObject({ code: 'ERR_JOBSERVER_CALLBACK_RAISED' });
    expect(String(error)).toContain('CallbackRaised(seqno=7)');
    for (const seqno of ['7', -1, 1.5, null] as never[]) {
      expect(thrown(() => new CallbackRaised(seqno))).toMatchObject({
        name: 'TypeError',
      });
    }
  });
}
