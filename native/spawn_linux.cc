// A program started from argv, env and a table of fds. The child of vfork
// shares this thread's memory until it executes: it allocates nothing, and
// tells its error by writing it down.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "posix.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

namespace jobserver {
namespace {

constexpr size_t kMostFds = 256;

int HighestTarget(const Program& program) {
  int highest = 2;
  for (size_t i = 0; i < program.fd_count; i++) {
    if (program.fds[i].target > highest) highest = program.fds[i].target;
  }
  return highest;
}

bool IsTarget(const Program& program, int fd) {
  for (size_t i = 0; i < program.fd_count; i++) {
    if (program.fds[i].target == fd) return true;
  }
  return false;
}

// Everything below runs in the child: 0, or the errno of what failed.

int ArrangeFds(const Program& program, int highest) {
  int moved[kMostFds];
  int null = open("/dev/null", O_RDONLY);
  if (null < 0 || (null != 0 && dup2(null, 0) < 0)) return errno;
  // Out of the way of all targets first: a target may be another's source.
  for (size_t i = 0; i < program.fd_count; i++) {
    moved[i] = fcntl(program.fds[i].source, F_DUPFD_CLOEXEC, highest + 1);
    if (moved[i] < 0) return errno;
  }
  for (size_t i = 0; i < program.fd_count; i++) {
    if (dup2(moved[i], program.fds[i].target) < 0) return errno;
  }
  // Ours are close-on-exec already; those of the rest of the process need not
  // be. An old kernel has no such call.
  constexpr unsigned kCloseOnExec = 4;
  syscall(SYS_close_range, highest + 1, ~0U, kCloseOnExec);
  for (int fd = 3; fd < highest; fd++) {
    if (!IsTarget(program, fd)) SetCloseOnExec(fd, true);
  }
  return 0;
}

int ResetSignals() {
  for (int signal = 1; signal < NSIG; signal++) ResetSignal(signal);
  sigset_t none;
  sigemptyset(&none);
  return sigprocmask(SIG_SETMASK, &none, nullptr) < 0 ? errno : 0;
}

int Become(const Program& program, pid_t parent, int highest) {
  if (program.death_signal > 0) {
    int result = SetDeathSignal(program.death_signal, parent);
    if (result < 0) return -result;
  }
  if (chdir(program.cwd) < 0) return errno;
  int error = ArrangeFds(program, highest);
  if (error == 0) error = ResetSignals();
  if (error != 0) return error;
  execve(program.file, program.argv, program.env);
  return errno;
}

// On its own, so that nothing of the caller lives in a frame that the child
// has changed.
__attribute__((noinline)) pid_t StartChild(const Program& program, int highest,
                                           volatile int* error) {
  const pid_t parent = getpid();
  pid_t pid = vfork();
  if (pid != 0) return pid < 0 ? -errno : pid;
  *error = Become(program, parent, highest);
  _exit(127);
}

}  // namespace

pid_t Spawn(const Program& program) {
  if (program.fd_count > kMostFds) return -E2BIG;
  const int highest = HighestTarget(program);
  // A handler that ran in the child would run on our memory.
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  volatile int error = 0;
  pid_t pid = StartChild(program, highest, &error);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0 || error == 0) return pid;
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return -error;
}

}  // namespace jobserver
