#include "../fork.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../deadline.h"
#include "../posix.h"
#include "mappings.h"

#ifndef MADV_DOFORK
#define MADV_DOFORK 11
#endif

namespace sys {
namespace {

// The time between two looks of AwaitQuiet.
constexpr double kLookMs = 1;

// The state is the letter after the name, which is in parentheses and may
// contain some itself.
bool Sleeps(int tasks, const char* tid) {
  char path[64];
  char stat[512];
  snprintf(path, sizeof path, "%s/stat", tid);
  // Fails if dirfd has failed. NOLINTNEXTLINE(*StdCLibraryFunctions)
  const int fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return true;  // has ended
  const ssize_t length = read(fd, stat, sizeof stat - 1);
  close(fd);
  if (length <= 0) return true;
  stat[length] = '\0';
  const char* name_end = strrchr(stat, ')');
  return name_end == nullptr || name_end[2] == 'S';
}

// The number of this thread in /proc, which may belong to another pid
// namespace.
long OwnNumber() {
  char link[64];
  const ssize_t length = readlink("/proc/thread-self", link, sizeof link - 1);
  if (length <= 0) return syscall(SYS_gettid);
  link[length] = '\0';
  const char* slash = strrchr(link, '/');
  return slash == nullptr ? syscall(SYS_gettid) : atol(slash + 1);
}

// 1 when every other thread sleeps, or 0, or -errno.
int IsQuiet() {
  DIR* tasks = opendir("/proc/self/task");
  if (tasks == nullptr) return -errno;
  const long self = OwnNumber();
  bool are_asleep = true;
  while (const struct dirent* entry = readdir(tasks)) {
    if (entry->d_name[0] == '.' || atol(entry->d_name) == self) continue;
    are_asleep = are_asleep && Sleeps(dirfd(tasks), entry->d_name);
  }
  closedir(tasks);
  return are_asleep ? 1 : 0;
}

}  // namespace

// V8 marks its heap MADV_DONTFORK.
int PrepareFork() {
  Mappings mappings;
  Mapping mapping;
  while (mappings.Next(&mapping)) {
    if (!mapping.is_anonymous) continue;
    // Fails only for a mapping that has been removed since.
    const size_t length = mapping.end - mapping.start;
    madvise(reinterpret_cast<void*>(mapping.start), length, MADV_DOFORK);
  }
  return mappings.error();
}

int ForkMasked() {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  const pid_t pid = fork();
  const int error = errno;
  if (pid != 0) sigprocmask(SIG_SETMASK, &before, nullptr);
  return pid < 0 ? -error : pid;
}

int Fork() {
  const int result = PrepareFork();
  return result < 0 ? result : ForkMasked();
}

int AwaitQuiet(double timeout_ms) {
  const Deadline deadline(timeout_ms);
  for (;;) {
    const int result = IsQuiet();
    if (result != 0 || deadline.HasPassed()) return result;
    Poll(nullptr, 0, kLookMs);
  }
}

}  // namespace sys
