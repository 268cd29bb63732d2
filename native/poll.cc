// Waiting for a few fds with a deadline.
#include <errno.h>
#include <poll.h>

#include "clock.h"
#include "platform.h"
#include "posix.h"

namespace jobserver {

static_assert(sizeof(PollFd) == sizeof(struct pollfd), "read in place");

int Poll(PollFd* fds, size_t count, double timeout_ms) {
  const Countdown countdown(timeout_ms);
  auto* polled = reinterpret_cast<struct pollfd*>(fds);
  for (;;) {
    struct timespec left = countdown.Left();
    int ready =
        PollOnce(polled, count, countdown.is_endless() ? nullptr : &left);
    if (ready > 0) return ready;
    if (ready < 0 && errno != EINTR) return -errno;
    if (countdown.HasPassed()) return 0;
  }
}

}  // namespace jobserver
