// Reaps one child, named by its pid. To wait for any child would reap those of
// the host program too.
#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "posix.h"

namespace sys {
namespace {

struct Left {
  int pid;
  Left* next;
};

// Guards the list. Its head is read without the lock as well, because the list
// is almost always empty.
pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
Left* left = nullptr;

int32_t ToInt(long value) {
  return value < INT32_MAX ? static_cast<int32_t>(value) : INT32_MAX;
}

Usage UsageOf(const struct rusage& used) {
#ifdef __APPLE__
  constexpr long kPeakUnit = 1024;  // It counts bytes.
#else
  constexpr long kPeakUnit = 1;
#endif
  return {ToInt(used.ru_utime.tv_sec),
          ToInt(used.ru_utime.tv_usec),
          ToInt(used.ru_stime.tv_sec),
          ToInt(used.ru_stime.tv_usec),
          ToInt(used.ru_maxrss / kPeakUnit),
          ToInt(used.ru_minflt),
          ToInt(used.ru_majflt),
          ToInt(used.ru_nvcsw),
          ToInt(used.ru_nivcsw)};
}

}  // namespace

int OwnUsage(Usage* usage) {
  struct rusage used = {};
  if (getrusage(RUSAGE_SELF, &used) != 0) return -errno;
  *usage = UsageOf(used);
  return 0;
}

int WaitPid(int pid, Status* status) {
  // 0 and below mean a process group, or any child.
  if (pid <= 0) return -ECHILD;
  int raw = 0;
  struct rusage used = {};
  pid_t reaped;
  do {
    reaped = wait4(pid, &raw, WNOHANG, &used);
  } while (reaped < 0 && errno == EINTR);
  if (reaped < 0) return -errno;
  if (reaped == 0) return 0;
  status->exit_code = WIFEXITED(raw) ? WEXITSTATUS(raw) : -1;
  status->signal = WIFSIGNALED(raw) ? WTERMSIG(raw) : 0;
  status->usage = UsageOf(used);
  return reaped;
}

int WaitLeader(int pid, Status* status) {
  if (pid <= 0) return -ECHILD;
  siginfo_t info = {};
  const auto id = static_cast<id_t>(pid);
  int result;
  do {
    result = waitid(P_PID, id, &info, WEXITED | WNOWAIT | WNOHANG);
  } while (result < 0 && errno == EINTR);
  if (result < 0) return -errno;
  if (info.si_pid == 0) return 0;
  // Now, because another process may get the number once the leader is reaped.
  kill(-pid, SIGTERM);
  return WaitPid(pid, status);
}

int HasChildInGroup() {
  siginfo_t info = {};
  const auto id = static_cast<id_t>(getpid());
  return waitid(P_PGID, id, &info, WEXITED | WNOWAIT | WNOHANG) == 0 ? 1 : 0;
}

void AwaitEnd(int pid) {
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) continue;
}

void LeaveChild(int pid) {
  pthread_mutex_lock(&mutex);
  __atomic_store_n(&left, new Left{pid, left}, __ATOMIC_RELAXED);
  pthread_mutex_unlock(&mutex);
}

void ForgetLeft() { left = nullptr; }

void ReapLeft() {
  if (__atomic_load_n(&left, __ATOMIC_RELAXED) == nullptr) return;
  pthread_mutex_lock(&mutex);
  for (Left** at = &left; *at != nullptr;) {
    Status status = {};
    Left* child = *at;
    if (WaitPid(child->pid, &status) == 0) {
      at = &child->next;
    } else {
      __atomic_store_n(at, child->next, __ATOMIC_RELAXED);
      delete child;
    }
  }
  pthread_mutex_unlock(&mutex);
}

}  // namespace sys
