// The waits with a deadline. An interrupted wait looks once more, even after
// the deadline, so that it does not miss an fd that has become ready.
#include <errno.h>

#include "deadline.h"
#include "posix.h"

namespace sys {
namespace {

// Linux restarts ppoll after SIGCONT, or when a frozen container goes on, with
// the time that was left before. So the deadline is read again at least this
// often.
constexpr time_t kLongestLookS = 1;

template <typename Look>
int Wait(double timeout_ms, Look look) {
  const Deadline deadline(timeout_ms);
  for (;;) {
    timespec left;
    const timespec* most = deadline.Left(&left);
    if (most != nullptr && left.tv_sec >= kLongestLookS) {
      left = {kLongestLookS, 0};
    }
    const int count = look(most);
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
