// Learning how one child of ours has ended; never any child.
#include <errno.h>
#include <sys/wait.h>

#include "posix.h"

namespace jobserver {

pid_t WaitPid(pid_t pid, Status* status) {
  int raw = 0;
  pid_t result;
  do {
    result = waitpid(pid, &raw, WNOHANG);
  } while (result < 0 && errno == EINTR);
  if (result < 0) return -errno;
  if (result == 0) return 0;
  status->exit_code = WIFEXITED(raw) ? WEXITSTATUS(raw) : -1;
  status->signal = WIFSIGNALED(raw) ? WTERMSIG(raw) : 0;
  return result;
}

}  // namespace jobserver
