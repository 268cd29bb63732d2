// Reaps one child, named by its pid. To wait for any child would reap those of
// the host program too.
#include <errno.h>
#include <sys/wait.h>

#include "posix.h"

namespace sys {

int WaitPid(int pid, Status* status) {
  // 0 and below mean a process group, or any child.
  if (pid <= 0) return -ECHILD;
  int raw = 0;
  pid_t reaped;
  do {
    reaped = waitpid(pid, &raw, WNOHANG);
  } while (reaped < 0 && errno == EINTR);
  if (reaped < 0) return -errno;
  if (reaped == 0) return 0;
  status->exit_code = WIFEXITED(raw) ? WEXITSTATUS(raw) : -1;
  status->signal = WIFSIGNALED(raw) ? WTERMSIG(raw) : 0;
  return reaped;
}

void AwaitEnd(int pid) {
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) continue;
}

}  // namespace sys
