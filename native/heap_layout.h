// Where V8 places its heap. It maps each chunk of 256 KiB at a random address,
// and then each of them has page tables of its own, which a fork copies and the
// end of the fork frees. Linux only: elsewhere, these return -ENOSYS.
#pragma once

namespace sys {

// From now on, chunks are placed side by side. Where a limit of address space
// (RLIMIT_AS) forbids that, this returns -ENOMEM, and V8 chooses as before.
int PackHeap();

// Frees the addresses that PackHeap has reserved. The zygote calls it before it
// forks, and each child that was forked earlier calls it, so that no job has
// them.
void EndPackHeap();

}  // namespace sys
