// The exit fd of a process is a kqueue whose only event stays pending.
#include <errno.h>
#include <signal.h>
#include <sys/event.h>
#include <unistd.h>

#include "../posix.h"

namespace sys {

int ExitFd(int pid) {
  const int queue = SelectorOpen();
  if (queue < 0) return queue;
  struct kevent change;
  // Fails with ESRCH when the process has ended, even before it is reaped.
  EV_SET(&change, pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, nullptr);
  if (kevent(queue, &change, 1, nullptr, 0, nullptr) == 0) return queue;
  const int error = errno;
  close(queue);
  return -error;
}

int Kill(int pid, int, int signal, int) {
  return kill(pid, signal) == 0 ? 0 : -errno;
}

int KillGroup(int pid, int, int signal, int) {
  return kill(-pid, signal) == 0 ? 0 : -errno;
}

int LeadGroup(int pid) { return setpgid(pid, pid) == 0 ? 0 : -errno; }

int ForkPlain() {
  const int pid = fork();
  const int count = pid == 0 ? getdtablesize() : 0;
  for (int fd = 0; fd < count; fd++) close(fd);
  return pid < 0 ? -errno : pid;
}

int SetDeathSignal(int, int) { return -ENOSYS; }

int TimerSlack() { return -ENOSYS; }

bool IsDeathSignal(const siginfo_t&, int) { return false; }

int ValueOf(const siginfo_t&) { return 0; }

}  // namespace sys
