#include "close_range.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// The same on every architecture; older headers lack it.
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

namespace sys {
namespace {

constexpr unsigned kClose = 0;
constexpr unsigned kCloseOnExec = 4;  // CLOSE_RANGE_CLOEXEC

// The limit of a process may be in the millions, and to try each of these
// numbers takes longer than the start of the process. The kernel always gives
// out the lowest free number, so higher fds are very unlikely.
constexpr rlim_t kMostTried = 65536;

int EndOfFds(int first) {
  const rlim_t end = static_cast<rlim_t>(first) + kMostTried;
  struct rlimit limit;
  const bool is_lower =
      getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < end;
  return static_cast<int>(is_lower ? limit.rlim_cur : end);
}

void Apply(int first, unsigned flags) {
  if (syscall(SYS_close_range, first, ~0U, flags) == 0) return;
  // Linux before 5.9, or before 5.11 for kCloseOnExec, or a seccomp filter.
  const int end = EndOfFds(first);
  for (int fd = first; fd < end; fd++) {
    if (flags == kClose) {
      close(fd);
    } else {
      fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
  }
}

}  // namespace

void CloseFrom(int first) { Apply(first, kClose); }

int HighestFd() {
  DIR* fds = opendir("/proc/self/fd");
  if (fds == nullptr) return -errno;
  int highest = 0;
  while (const dirent* entry = readdir(fds)) {
    const int fd = atoi(entry->d_name);
    if (fd > highest) highest = fd;
  }
  closedir(fds);
  return highest;
}

void CloseOnExecFrom(int first) { Apply(first, kCloseOnExec); }

}  // namespace sys
