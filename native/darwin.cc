// The verbs that macOS has means of its own for. What is not close-on-exec at
// birth is for a moment inherited by programs that other threads start.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/event.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "platform.h"
#include "posix.h"

namespace jobserver {

static int CloseBothOnExec(const int ends[2]) {
  for (int i = 0; i < 2; i++) {
    int result = SetCloseOnExec(ends[i], true);
    if (result == 0) continue;
    Close(ends[0]);
    Close(ends[1]);
    return result;
  }
  return 0;
}

int PipeCloseOnExec(int ends[2]) {
  return pipe(ends) < 0 ? -errno : CloseBothOnExec(ends);
}

int SocketPairCloseOnExec(int ends[2], bool packets) {
  int type = packets ? SOCK_DGRAM : SOCK_STREAM;
  if (socketpair(AF_UNIX, type, 0, ends) < 0) return -errno;
  return CloseBothOnExec(ends);
}

int AnonymousFile() {
  const char* folder = getenv("TMPDIR");
  char path[PATH_MAX];
  int length = snprintf(path, sizeof path, "%s/jobserver.XXXXXX",
                        folder != nullptr ? folder : "/tmp");
  if (length < 0 || length >= static_cast<int>(sizeof path)) {
    return -ENAMETOOLONG;
  }
  int fd = mkostemp(path, O_CLOEXEC);
  if (fd < 0) return -errno;
  unlink(path);
  return fd;
}

int PollOnce(struct pollfd* fds, size_t count, const struct timespec* timeout) {
  int ms = -1;
  if (timeout != nullptr) {
    int64_t up =
        timeout->tv_sec * 1000LL + (timeout->tv_nsec + 999999) / 1000000;
    ms = up < INT_MAX ? static_cast<int>(up) : INT_MAX;
  }
  return poll(fds, static_cast<nfds_t>(count), ms);
}

int SelectorOpen() {
  int fd = kqueue();
  if (fd < 0) return -errno;
  int result = SetCloseOnExec(fd, true);
  if (result == 0) return fd;
  Close(fd);
  return result;
}

static int Change(int queue, uintptr_t ident, int16_t filter, uint16_t flags,
                  uint32_t fflags) {
  struct kevent change;
  EV_SET(&change, ident, filter, flags, fflags, 0, nullptr);
  return kevent(queue, &change, 1, nullptr, 0, nullptr) < 0 ? -errno : 0;
}

int SelectorAdd(int selector, int fd) {
  return Change(selector, static_cast<uintptr_t>(fd), EVFILT_READ, EV_ADD, 0);
}

int SelectorRemove(int selector, int fd) {
  return Change(selector, static_cast<uintptr_t>(fd), EVFILT_READ, EV_DELETE,
                0);
}

int SelectorWait(int selector, int32_t* ready, size_t capacity,
                 double timeout_ms) {
  constexpr size_t kMost = 64;
  struct kevent events[kMost];
  int most = static_cast<int>(capacity < kMost ? capacity : kMost);
  const Countdown countdown(timeout_ms);
  for (;;) {
    struct timespec left = countdown.Left();
    int count = kevent(selector, nullptr, 0, events, most,
                       countdown.is_endless() ? nullptr : &left);
    if (count < 0 && errno != EINTR) return -errno;
    for (int i = 0; i < count; i++) {
      ready[i] = static_cast<int32_t>(events[i].ident);
    }
    if (count > 0) return count;
    if (countdown.HasPassed()) return 0;
  }
}

int ExitFd(pid_t pid) {
  int queue = SelectorOpen();
  if (queue < 0) return queue;
  int result = Change(queue, static_cast<uintptr_t>(pid), EVFILT_PROC,
                      EV_ADD | EV_ONESHOT, NOTE_EXIT);
  if (result == 0) return queue;
  Close(queue);
  return result;
}

int Kill(pid_t pid, int exit_fd, int signal) {
  (void)exit_fd;
  return kill(pid, signal) < 0 ? -errno : 0;
}

int SetDeathSignal(int signal, pid_t parent) {
  (void)signal;
  (void)parent;
  return -ENOSYS;
}

}  // namespace jobserver
