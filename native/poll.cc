// The waits with a deadline. An interrupted wait looks once more, even after
// the deadline, so that it does not miss an fd that has become ready.
#include <errno.h>

#include "deadline.h"
#include "posix.h"

namespace sys {
namespace {

template <typename Look>
int Wait(double timeout_ms, Look look) {
  const Deadline deadline(timeout_ms);
  for (;;) {
    timespec left;
    const int count = look(deadline.Left(&left));
    if (count > 0 || (count < 0 && count != -EINTR)) return count;
    if (count == 0 && deadline.HasPassed()) return 0;
  }
}

}  // namespace

int Poll(struct pollfd* fds, size_t count, double timeout_ms) {
  return Wait(timeout_ms,
              [=](const timespec* left) { return PollOnce(fds, count, left); });
}

int SelectorWait(int selector, int32_t* ready, size_t room, double timeout_ms) {
  const size_t most = room < kMostReady ? room : kMostReady;
  return Wait(timeout_ms, [=](const timespec* left) {
    return SelectorWaitOnce(selector, ready, most, left);
  });
}

}  // namespace sys
