// A selector is an epoll set.
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>

#include "../posix.h"

namespace sys {
namespace {

int ReadyNow(int selector, int32_t* ready, size_t room) {
  struct epoll_event events[kMostReady];
  const int count = epoll_wait(selector, events, static_cast<int>(room), 0);
  if (count < 0) return -errno;
  for (int i = 0; i < count; i++) ready[i] = events[i].data.fd;
  return count;
}

// epoll reports hang-up and error in any case.
int Add(int selector, int fd, uint32_t events) {
  struct epoll_event event = {};
  event.events = events;
  event.data.fd = fd;
  return epoll_ctl(selector, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

bool IsZero(const timespec* left) {
  return left != nullptr && left->tv_sec == 0 && left->tv_nsec == 0;
}

}  // namespace

int SelectorOpen() {
  const int selector = epoll_create1(EPOLL_CLOEXEC);
  return selector < 0 ? -errno : selector;
}

int SelectorAdd(int selector, int fd) { return Add(selector, fd, EPOLLIN); }

int SelectorAddOutput(int selector, int fd) {
  return Add(selector, fd, EPOLLOUT);
}

int SelectorAddEnd(int selector, int fd) { return Add(selector, fd, 0); }

int SelectorRemove(int selector, int fd) {
  return epoll_ctl(selector, EPOLL_CTL_DEL, fd, nullptr) == 0 ? 0 : -errno;
}

int SelectorWaitOnce(int selector, int32_t* ready, size_t room,
                     const timespec* left) {
  const int count = ReadyNow(selector, ready, room);
  if (count != 0 || IsZero(left)) return count;
  // epoll_wait has a timeout in whole milliseconds; ppoll is exact.
  struct pollfd set = {selector, POLLIN, 0};
  const int woken = PollOnce(&set, 1, left);
  return woken > 0 ? ReadyNow(selector, ready, room) : woken;
}

}  // namespace sys
