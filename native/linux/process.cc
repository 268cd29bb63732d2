// Pidfds and the death signal. Pidfd calls are made by number, because
// glibc 2.17 and musl have no functions for them.
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../posix.h"
#include "close_range.h"

// The numbers are the same on every architecture; older headers lack them.
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

namespace sys {
namespace {

// A flag of pidfd_send_signal.
constexpr unsigned kToGroup = 1U << 2;

int SendTo(int pidfd, int signal, int value, unsigned flags) {
  // With SI_QUEUE, so that a guard does not take it for a death signal.
  siginfo_t info = {};
  info.si_signo = signal;
  info.si_code = SI_QUEUE;
  info.si_pid = getpid();
  info.si_uid = getuid();
  info.si_value.sival_int = value;
  const long result =
      syscall(SYS_pidfd_send_signal, pidfd, signal, &info, flags);
  return result == 0 ? 0 : -errno;
}

}  // namespace

int ExitFd(int pid) {
  const long fd = syscall(SYS_pidfd_open, pid, 0);
  if (fd >= 0) return static_cast<int>(fd);
  // Only a seccomp filter that does not know the call fails with EPERM.
  return errno == EPERM ? -ENOSYS : -errno;
}

int Kill(int pid, int exit_fd, int signal, int value) {
  if (exit_fd >= 0) {
    const int result = SendTo(exit_fd, signal, value, 0);
    if (result != -ENOSYS) return result;
  }
  return kill(pid, signal) == 0 ? 0 : -errno;
}

int KillGroup(int pid, int exit_fd, int signal, int value) {
  if (exit_fd >= 0) {
    int result = SendTo(exit_fd, signal, value, kToGroup);
    if (result != -EINVAL && result != -ENOSYS) return result;
    // Before Linux 6.9. While the leader exists, no other group has its number.
    result = Kill(pid, exit_fd, signal, value);
    if (result < 0) return result == -ESRCH ? -ENOSYS : result;
  }
  return kill(-pid, signal) == 0 ? 0 : -errno;
}

int LeadGroup(int pid) { return setpgid(pid, pid) == 0 ? 0 : -errno; }

// Not by fork, which takes locks of libc that the interrupted code may hold.
int ForkPlain() {
  const long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (pid == 0) CloseFrom(0);
  return pid < 0 ? -errno : static_cast<int>(pid);
}

int SetDeathSignal(int signal, int parent_pid) {
  if (prctl(PR_SET_PDEATHSIG, signal) != 0) return -errno;
  // A parent that has died before the call above causes no signal.
  if (signal != 0 && getppid() != parent_pid) return -ESRCH;
  return 0;
}

int TimerSlack() {
  const int slack = prctl(PR_GET_TIMERSLACK);
  return slack < 0 ? -errno : slack;
}

bool IsDeathSignal(const siginfo_t& info, int parent_pid) {
  return info.si_code == SI_USER && info.si_pid == parent_pid;
}

int ValueOf(const siginfo_t& info) {
  return info.si_code == SI_QUEUE ? info.si_value.sival_int : 0;
}

}  // namespace sys
