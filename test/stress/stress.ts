import type { Context } from '../../dist/context.js';
import { checkSlots, warmUp } from '../helpers/jobserver.js';
import { checkLeaks } from '../helpers/leaks.js';
import { deathStress } from './death.js';
import { limitStress } from './limits.js';
import { stormStress } from './storm.js';

/** Guarantees under load, limits and signals, for one context. */
export function stress(context: Context): void {
  describe(`context ${context}`, () => {
    // Comes first, so that every Jobserver is closed before the leak check.
    checkSlots();
    checkLeaks(warmUp(context));

    describe('storms', () => stormStress(context));
    describe('death', () => deathStress(context));
    describe('limits', () => limitStress(context));
  });
}
