// kqueue(2) of macOS over epoll(7). A kqueue is an epoll instance, which holds
// the fds to watch and a pidfd for each process. The filters are EVFILT_READ
// and EVFILT_WRITE, which are level-triggered, and EVFILT_PROC with NOTE_EXIT;
// any other filter or flag is EINVAL.
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <map>
#include <mutex>

#include "real.h"

namespace {

// epoll stores a number for each event: the fd, or the pid and this bit.
constexpr uint64_t kIsProcess = uint64_t{1} << 32;
constexpr int kMostEvents = 256;

// The pidfds of each kqueue. They stay open until the kqueue is closed, because
// epoll drops an fd that is closed.
struct Processes {
  std::mutex mutex;
  std::multimap<int, int> pidfds;
};

// It is never destroyed, because other threads may close fds during the exit.
Processes& processes = *new Processes;

int Fail(int error) {
  errno = error;
  return -1;
}

void CloseProcesses(int queue) {
  const std::lock_guard<std::mutex> lock(processes.mutex);
  const auto [begin, end] = processes.pidfds.equal_range(queue);
  for (auto each = begin; each != end; ++each) __real_close(each->second);
  processes.pidfds.erase(begin, end);
}

int AddFd(int queue, int fd, uint32_t events) {
  struct epoll_event event = {};
  event.events = events;
  event.data.u64 = static_cast<uint64_t>(fd);
  if (epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event) == 0) return 0;
  // kqueue accepts an event that it has already.
  return errno == EEXIST ? 0 : -1;
}

int AddPidfd(int queue, int pidfd, int pid) {
  // macOS does not find a process that has ended, even before it is reaped.
  struct pollfd end = {pidfd, POLLIN, 0};
  if (__real_poll(&end, 1, 0) != 0) return Fail(ESRCH);
  struct epoll_event event = {};
  // kqueue removes the event of an exit when it delivers it.
  event.events = EPOLLIN | EPOLLONESHOT;
  event.data.u64 = kIsProcess | static_cast<uint64_t>(pid);
  return epoll_ctl(queue, EPOLL_CTL_ADD, pidfd, &event);
}

int AddProcess(int queue, int pid) {
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (pidfd < 0) return Fail(errno == EINVAL ? ESRCH : errno);
  if (AddPidfd(queue, pidfd, pid) != 0) {
    const int error = errno;
    __real_close(pidfd);
    return Fail(error);
  }
  const std::lock_guard<std::mutex> lock(processes.mutex);
  processes.pidfds.insert({queue, pidfd});
  return 0;
}

int Apply(int queue, const struct kevent& change) {
  const int ident = static_cast<int>(change.ident);
  // An fd is in a queue of this library with one of the two filters at most.
  const bool is_output = change.filter == EVFILT_WRITE;
  if ((change.filter == EVFILT_READ || is_output) && change.fflags == 0) {
    const uint32_t events = is_output ? EPOLLOUT : EPOLLIN;
    if (change.flags == EV_ADD) return AddFd(queue, ident, events);
    if (change.flags == (EV_ADD | EV_CLEAR)) {
      return AddFd(queue, ident, events | EPOLLET);
    }
    if (change.flags == EV_DELETE) {
      return epoll_ctl(queue, EPOLL_CTL_DEL, ident, nullptr);
    }
  }
  if (change.filter == EVFILT_PROC && change.fflags == NOTE_EXIT &&
      change.flags == EV_ADD) {
    return AddProcess(queue, ident);
  }
  return Fail(EINVAL);
}

struct kevent ToKevent(const struct epoll_event& ready) {
  struct kevent event = {};
  event.ident = static_cast<uint32_t>(ready.data.u64);
  if ((ready.data.u64 & kIsProcess) != 0) {
    event.filter = EVFILT_PROC;
    event.fflags = NOTE_EXIT;
    event.flags = EV_ADD | EV_ONESHOT | EV_EOF;
  } else {
    event.filter = EVFILT_READ;
    event.flags = EV_ADD;
    if ((ready.events & (EPOLLHUP | EPOLLERR)) != 0) event.flags |= EV_EOF;
  }
  return event;
}

}  // namespace

// On macOS, too, a kqueue is not close-on-exec at first.
int kqueue() { return epoll_create1(0); }

int kevent(int queue, const struct kevent* changes, int change_count,
           struct kevent* events, int room, const struct timespec* timeout) {
  for (int i = 0; i < change_count; i++) {
    if (Apply(queue, changes[i]) != 0) return -1;
  }
  if (room == 0) return 0;
  struct pollfd end = {queue, POLLIN, 0};
  const int result = ppoll(&end, 1, timeout, nullptr);
  if (result <= 0) return result;
  struct epoll_event ready[kMostEvents];
  const int most = room < kMostEvents ? room : kMostEvents;
  const int count = epoll_wait(queue, ready, most, 0);
  for (int i = 0; i < count; i++) events[i] = ToKevent(ready[i]);
  return count;
}

// The linker directs all calls of close(2) in the addon to this function.
int __wrap_close(int fd) {
  CloseProcesses(fd);
  return __real_close(fd);
}
