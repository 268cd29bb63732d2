// poll(2) of macOS, which differs from POSIX: it reports nothing about an fd
// that asks for no event, not even POLLHUP or POLLNVAL. For the write end of a
// pipe that has no reader it reports POLLHUP, and not POLLERR or POLLOUT.
#include <poll.h>

#include "real.h"

namespace {

// Linux ignores a negative fd. A second call restores the fds.
void HideUnasked(struct pollfd* fds, nfds_t count) {
  for (nfds_t i = 0; i < count; i++) {
    if (fds[i].events == 0) fds[i].fd = ~fds[i].fd;
  }
}

short ToDarwin(const struct pollfd& fd) {
  if ((fd.revents & (POLLERR | POLLHUP)) == 0) return fd.revents;
  const int others = fd.revents & ~(POLLERR | POLLOUT);
  return static_cast<short>(others | POLLHUP | (fd.events & POLLIN));
}

}  // namespace

// The linker directs all calls of poll(2) in the addon to this function. It
// does not allocate, because a signal handler calls it.
int __wrap_poll(struct pollfd* fds, nfds_t count, int timeout_ms) {
  HideUnasked(fds, count);
  const int result = __real_poll(fds, count, timeout_ms);
  HideUnasked(fds, count);
  for (nfds_t i = 0; i < count; i++) fds[i].revents = ToDarwin(fds[i]);
  return result;
}
