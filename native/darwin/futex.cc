// Waits for a word of memory that processes share. macOS has no public call for
// it before version 14.4, so the word is looked at again and again.
#include <errno.h>

#include "../deadline.h"
#include "../posix.h"

namespace sys {

int WaitWord(int32_t* word, int32_t value, double timeout_ms) {
  constexpr double kLookMs = 1;
  const Deadline deadline(timeout_ms);
  if (__atomic_load_n(word, __ATOMIC_SEQ_CST) != value) return -EAGAIN;
  while (!deadline.HasPassed()) {
    Poll(nullptr, 0, kLookMs);
    if (__atomic_load_n(word, __ATOMIC_SEQ_CST) != value) return 0;
  }
  return -ETIMEDOUT;
}

int WakeWord(int32_t*, int) { return 0; }

}  // namespace sys
