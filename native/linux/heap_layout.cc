#include "../heap_layout.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "mappings.h"

namespace sys {
namespace {

// V8 asks for addresses below kHintsEnd, see PageAllocator::GetRandomMmapAddr.
// Where it cannot have one, the kernel places the chunk below the lowest
// mapping that it has placed itself. The heap of malloc may grow below
// kHintsStart.
constexpr uintptr_t kHintsStart = uintptr_t{1} << 36;
constexpr uintptr_t kHintsEnd = uintptr_t{1} << 46;

struct Range {
  uintptr_t start;
  uintptr_t end;
};

// The addresses that are taken.
constexpr size_t kMost = 1024;
Range taken[kMost];
size_t taken_count = 0;

// Such a mapping has no memory, and needs none to be free. Returns an -errno
// where the process may not have that many addresses.
int Take(Range range) {
  if (range.start < kHintsStart) range.start = kHintsStart;
  if (range.end > kHintsEnd) range.end = kHintsEnd;
  if (range.start >= range.end || taken_count == kMost) return 0;
  const size_t length = range.end - range.start;
  // Without MAP_FIXED, so that nothing is replaced.
  auto* hint = reinterpret_cast<void*>(range.start);
  void* memory = mmap(hint, length, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return -errno;
  if (memory == hint) {
    taken[taken_count++] = range;
  } else {
    munmap(memory, length);
  }
  return 0;
}

}  // namespace

int PackHeap() {
  Mappings mappings;
  if (mappings.error() < 0) return mappings.error();
  Mapping mapping;
  uintptr_t end = 0;
  while (mappings.Next(&mapping)) {
    const int result = Take({end, mapping.start});
    if (result < 0) {
      // What is taken already counts, and would leave V8 little to live on.
      EndPackHeap();
      return result;
    }
    end = mapping.end;
  }
  return 0;
}

void EndPackHeap() {
  while (taken_count > 0) {
    const Range& range = taken[--taken_count];
    munmap(reinterpret_cast<void*>(range.start), range.end - range.start);
  }
}

}  // namespace sys
