// Pidfds and the death signal. Pidfd calls are made by number, because
// glibc 2.17 and musl have no functions for them.
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../posix.h"

// The numbers are the same on every architecture; older headers lack them.
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

namespace sys {

int ExitFd(int pid) {
  const long fd = syscall(SYS_pidfd_open, pid, 0);
  if (fd >= 0) return static_cast<int>(fd);
  // Only a seccomp filter that does not know the call fails with EPERM.
  return errno == EPERM ? -ENOSYS : -errno;
}

int Kill(int pid, int exit_fd, int signal, int value) {
  if (exit_fd >= 0) {
    // With SI_QUEUE, so that a guard does not take it for a death signal.
    siginfo_t info = {};
    info.si_signo = signal;
    info.si_code = SI_QUEUE;
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_int = value;
    if (syscall(SYS_pidfd_send_signal, exit_fd, signal, &info, 0) == 0) {
      return 0;
    }
    if (errno != ENOSYS) return -errno;
  }
  return kill(pid, signal) == 0 ? 0 : -errno;
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
