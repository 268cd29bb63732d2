// The slot pipe of a new Jobserver: a new one with the number of slots given,
// or that of the pool that this process works under, or a new one of default
// size.
import type { InheritedSlots } from '../protocol/fds.js';
import { workerState } from '../protocol/worker-state.js';
import { checkSlots, defaultSlots } from '../slots/default-count.js';
import { shareLocks } from '../slots/locks.js';
import { SlotPipe } from '../slots/slot-pipe.js';
import { duplicate } from '../system/fd.js';

export function openSlots(slots: unknown): SlotPipe {
  if (slots !== undefined) return SlotPipe.open(checkSlots(slots));
  const { ambient } = workerState;
  if (ambient !== undefined) {
    return shareSlots({ ...ambient, count: ambient.slots });
  }
  const make = ofMake(process.env['MAKEFLAGS']);
  if (make === undefined) return SlotPipe.open(defaultSlots());
  if (make === 1) return SlotPipe.open(make);
  return new SlotPipe(make.reader, make.writer, undefined, {
    ownSlot: make.ownSlot,
  });
}

// Required here, because few programs run under make.
function ofMake(makeflags: string | undefined): ReturnType<JoinMake> {
  if (makeflags === undefined) return undefined;
  const { joinMake } =
    require('../slots/make-client.js') as typeof import('../slots/make-client.js');
  return joinMake(makeflags);
}

type JoinMake = (typeof import('../slots/make-client.js'))['joinMake'];

/** A SlotPipe on duplicates of two borrowed fds. */
export function shareSlots({
  reader,
  writer,
  count,
  identity,
  trustee,
  locks = -1,
}: InheritedSlots): SlotPipe {
  const ownReader = duplicate(reader);
  try {
    const pipe = new SlotPipe(ownReader, duplicate(writer), count, {
      identity,
      trustee,
    });
    shareLocks(pipe, locks);
    return pipe;
  } catch (error) {
    ownReader.close();
    throw error;
  }
}
