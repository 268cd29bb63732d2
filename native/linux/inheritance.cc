// What a child process inherits besides the identity of its parent. The fork is
// the zygote's child, but has what a child of the submitter would have. Some
// calls are made by number: musl has no functions for scheduling policies, and
// the types of libc for limits and processors differ or are too small.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../posix.h"
#include "../process_state.h"

namespace sys {
namespace {

// The kernel writes one line for each limit, in the order of their numbers, in
// columns of fixed width.
constexpr size_t kSoftLimitColumn = 26;
constexpr size_t kHardLimitColumn = 47;

int SetUmask(const ProcessState& sender) {
  const char* field = StatusField(sender, "\nUmask:");
  if (*field != '\0') umask(static_cast<mode_t>(strtoul(field, nullptr, 8)));
  return 0;
}

// A process cannot enter the session of another one.
int JoinGroup(int sender) {
  if (getsid(sender) != getsid(0)) return -EPERM;
  const pid_t group = getpgid(sender);
  if (group < 0) return -errno;
  return group == getpgrp() || setpgid(0, group) == 0 ? 0 : -errno;
}

int GetPolicy(int pid, struct sched_param* param) {
  const long policy = syscall(SYS_sched_getscheduler, pid);
  if (policy < 0 || syscall(SYS_sched_getparam, pid, param) != 0) return -errno;
  return static_cast<int>(policy);
}

int SetPolicy(int sender) {
  struct sched_param theirs;
  struct sched_param own;
  int policy = GetPolicy(sender, &theirs);
  const int before = GetPolicy(0, &own);
  if (policy < 0 || before < 0) return policy < 0 ? policy : before;
  const bool is_reset = (policy & SCHED_RESET_ON_FORK) != 0;
  policy &= ~SCHED_RESET_ON_FORK;
  if (is_reset && (policy == SCHED_FIFO || policy == SCHED_RR)) {
    policy = SCHED_OTHER;
    theirs.sched_priority = 0;
  }
  if (before == policy && own.sched_priority == theirs.sched_priority) return 0;
  return syscall(SYS_sched_setscheduler, 0, policy, &theirs) == 0 ? 0 : -errno;
}

// -1 is a valid priority, so an error shows in errno only.
int SetNice(int sender) {
  errno = 0;
  const int theirs = getpriority(PRIO_PROCESS, static_cast<id_t>(sender));
  if (errno != 0) return -errno;
  if (theirs == getpriority(PRIO_PROCESS, 0)) return 0;
  return setpriority(PRIO_PROCESS, 0, theirs) == 0 ? 0 : -errno;
}

int SetAffinity(int sender) {
  unsigned long theirs[128] = {};
  unsigned long own[128] = {};
  const long size =
      syscall(SYS_sched_getaffinity, sender, sizeof theirs, theirs);
  if (size < 0) return -errno;
  if (syscall(SYS_sched_getaffinity, 0, sizeof own, own) < 0) return -errno;
  if (memcmp(theirs, own, sizeof own) == 0) return 0;
  return syscall(SYS_sched_setaffinity, 0, size, theirs) == 0 ? 0 : -errno;
}

uint64_t ReadLimit(const char* text) {
  if (strncmp(text, "unlimited", 9) == 0) return UINT64_MAX;
  return strtoull(text, nullptr, 10);
}

int SetLimits(const ProcessState& own, const ProcessState& sender) {
  if (strcmp(own.limits, sender.limits) == 0) return 0;
  const char* line = sender.limits;
  for (int resource = 0;; resource++) {
    // The first line has the titles of the columns.
    line = strchr(line, '\n');
    if (line == nullptr || strlen(++line) < kHardLimitColumn) return 0;
    uint64_t theirs[] = {ReadLimit(line + kSoftLimitColumn),
                         ReadLimit(line + kHardLimitColumn)};
    // Node raises this limit when it starts.
    if (resource == RLIMIT_NOFILE) theirs[0] = theirs[1];
    uint64_t before[2];
    if (syscall(SYS_prlimit64, 0, resource, nullptr, before) != 0)
      return -errno;
    if (memcmp(before, theirs, sizeof before) == 0) continue;
    if (syscall(SYS_prlimit64, 0, resource, theirs, nullptr) != 0)
      return -errno;
  }
}

int SetOomScore(const ProcessState& own, const ProcessState& sender) {
  const char* text = sender.oom_score_adj;
  if (strcmp(own.oom_score_adj, text) == 0) return 0;
  const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  const int result = Write(fd, text, strlen(text));
  close(fd);
  return result < 0 ? result : 0;
}

}  // namespace

int InheritFrom(const ProcessState& own, const ProcessState& sender,
                int sender_pid) {
  int result = SetUmask(sender);
  if (result == 0) result = JoinGroup(sender_pid);
  if (result == 0) result = SetPolicy(sender_pid);
  if (result == 0) result = SetNice(sender_pid);
  if (result == 0) result = SetAffinity(sender_pid);
  if (result == 0) result = SetLimits(own, sender);
  if (result == 0) result = SetOomScore(own, sender);
  return result;
}

}  // namespace sys
