#include "mapping_counts.h"

#include <pthread.h>

#include "lock.h"

namespace {

// Linux limits the mappings of a process, of which V8 needs some, to 65,530.
// Those of shared memory cannot be replaced by copies.
constexpr size_t kMostCopyable = 1024;
constexpr size_t kMostShared = 32768;

struct Total {
  size_t count;
  size_t bytes;
};

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
Total totals[kUses];
double most_bytes = 256 << 20;

// With the lock.
bool HasRoom(Use use, size_t size) {
  if (use == kForShared) return totals[use].count < kMostShared;
  const Total& received = totals[kForReceived];
  const Total& allocated = totals[kForAllocated];
  if (received.count + allocated.count >= kMostCopyable) return false;
  const size_t bytes = received.bytes + allocated.bytes;
  return static_cast<double>(bytes) + static_cast<double>(size) <= most_bytes;
}

}  // namespace

bool CountMapping(Use use, size_t size) {
  if (use == kForNothing) return true;
  const Lock lock(&mutex);
  if (!HasRoom(use, size)) return false;
  totals[use].count += 1;
  totals[use].bytes += size;
  return true;
}

void UncountMapping(Use use, size_t size) {
  if (use == kForNothing) return;
  const Lock lock(&mutex);
  totals[use].count -= 1;
  totals[use].bytes -= size;
}

void CountedMappings(double* numbers) {
  const Lock lock(&mutex);
  for (const Total& total : totals) {
    *numbers++ = static_cast<double>(total.count);
    *numbers++ = static_cast<double>(total.bytes);
  }
}

void LimitMappings(double bytes) {
  const Lock lock(&mutex);
  most_bytes = bytes;
}

double MappingLimit() {
  const Lock lock(&mutex);
  return most_bytes;
}
