// A selector is a kqueue.
#include <errno.h>
#include <sys/event.h>
#include <unistd.h>

#include "../posix.h"

namespace sys {
namespace {

int Change(int selector, int fd, int16_t filter, uint16_t flags) {
  struct kevent change;
  EV_SET(&change, fd, filter, flags, 0, 0, nullptr);
  return kevent(selector, &change, 1, nullptr, 0, nullptr) == 0 ? 0 : -errno;
}

}  // namespace

int SelectorOpen() {
  const int selector = kqueue();
  if (selector < 0) return -errno;
  const int result = SetCloseOnExec(selector, true);
  if (result == 0) return selector;
  close(selector);
  return result;
}

int SelectorAdd(int selector, int fd) {
  return Change(selector, fd, EVFILT_READ, EV_ADD);
}

int SelectorAddOutput(int selector, int fd) {
  return Change(selector, fd, EVFILT_WRITE, EV_ADD);
}

int SelectorAddEnd(int selector, int fd) {
  return Change(selector, fd, EVFILT_READ, EV_ADD | EV_CLEAR);
}

int SelectorRemove(int selector, int fd) {
  const int result = Change(selector, fd, EVFILT_READ, EV_DELETE);
  if (result != -ENOENT) return result;
  return Change(selector, fd, EVFILT_WRITE, EV_DELETE);
}

int SelectorWaitOnce(int selector, int32_t* ready, size_t room,
                     const timespec* left) {
  struct kevent events[kMostReady];
  const int count =
      kevent(selector, nullptr, 0, events, static_cast<int>(room), left);
  if (count < 0) return -errno;
  for (int i = 0; i < count; i++) {
    ready[i] = static_cast<int32_t>(events[i].ident);
  }
  return count;
}

}  // namespace sys
