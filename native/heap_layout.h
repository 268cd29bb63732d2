// Where V8 places its heap. It maps each chunk of 256 KiB at a random address,
// and then each of them has page tables of its own, which a fork copies and the
// end of the fork frees. Linux only: elsewhere, these return -ENOSYS.
#pragma once

namespace sys {

// From now on, chunks are placed side by side.
int PackHeap();

// Ends that, before forks and in those that were made earlier: no job sees the
// addresses that the zygote reserves.
void EndPackHeap();

}  // namespace sys
