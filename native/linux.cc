// The verbs that Linux has means of its own for. What is newer than the oldest
// supported libc is called by its number.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform.h"
#include "posix.h"

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_memfd_create
#error "An architecture without memfd_create"
#endif

namespace jobserver {

int PipeCloseOnExec(int ends[2]) {
  return pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0;
}

int SocketPairCloseOnExec(int ends[2], bool packets) {
  int type = (packets ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_CLOEXEC;
  return socketpair(AF_UNIX, type, 0, ends) < 0 ? -errno : 0;
}

int AnonymousFile() {
  constexpr unsigned kCloseOnExec = 1;
  long fd = syscall(SYS_memfd_create, "jobserver", kCloseOnExec);
  return fd < 0 ? -errno : static_cast<int>(fd);
}

int PollOnce(struct pollfd* fds, size_t count, const struct timespec* timeout) {
  return ppoll(fds, count, timeout, nullptr);
}

int SelectorOpen() {
  int fd = epoll_create1(EPOLL_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

int SelectorAdd(int selector, int fd) {
  struct epoll_event event = {};
  event.events = EPOLLIN;
  event.data.fd = fd;
  return epoll_ctl(selector, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int SelectorRemove(int selector, int fd) {
  struct epoll_event unused = {};
  return epoll_ctl(selector, EPOLL_CTL_DEL, fd, &unused) < 0 ? -errno : 0;
}

int SelectorWait(int selector, int32_t* ready, size_t capacity,
                 double timeout_ms) {
  constexpr size_t kMost = 64;
  struct epoll_event events[kMost];
  if (timeout_ms != 0) {
    // epoll counts in whole milliseconds; poll does not.
    PollFd polled = {selector, POLLIN, 0};
    int result = Poll(&polled, 1, timeout_ms);
    if (result <= 0) return result;
  }
  int count;
  do {
    int most = static_cast<int>(capacity < kMost ? capacity : kMost);
    count = epoll_wait(selector, events, most, 0);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return -errno;
  for (int i = 0; i < count; i++) ready[i] = events[i].data.fd;
  return count;
}

int ExitFd(pid_t pid) {
  long fd = syscall(SYS_pidfd_open, pid, 0);
  return fd < 0 ? -errno : static_cast<int>(fd);
}

int Kill(pid_t pid, int exit_fd, int signal) {
  if (exit_fd >= 0) {
    if (syscall(SYS_pidfd_send_signal, exit_fd, signal, nullptr, 0) == 0) {
      return 0;
    }
    // A kernel or sandbox may know the one call and not the other.
    if (errno != ENOSYS) return -errno;
  }
  return kill(pid, signal) < 0 ? -errno : 0;
}

int SetDeathSignal(int signal, pid_t parent) {
  if (prctl(PR_SET_PDEATHSIG, signal) < 0) return -errno;
  // It tells of a death from now on; the parent may have died before.
  return getppid() == parent ? 0 : -ESRCH;
}

}  // namespace jobserver
