// Linux on x64 only: elsewhere, this returns -ENOSYS.
#pragma once

namespace sys {

// Moves the machine code around an address to huge pages, which forks share:
// each page of a file is mapped anew in each fork. Returns 0 also where the
// kernel has no huge pages. The option --use-largepages of node does the same
// at its start, which takes as long as the rest of the start.
int EnlargeText(const void* code);

}  // namespace sys
