// Starts a program by vfork and exec. The child runs in the parent's memory
// while the calling thread waits. So the child allocates nothing, calls only
// functions that a signal handler may call, and writes the error of a failed
// step into the plan.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../posix.h"
#include "close_range.h"

namespace sys {
namespace {

constexpr int kSignals = 64;
constexpr int kFailed = 127;

using Mask = uint64_t;  // of the kernel; sigset_t is larger
constexpr Mask kAllSignals = ~Mask{0};
// A terminal sends these to a whole process group. A child that stopped before
// its exec would keep its parent in vfork, and so the shell would wait for the
// parent to stop. Node unblocks them when it starts.
constexpr Mask kStopSignals = Mask{1} << (SIGTSTP - 1) |
                              Mask{1} << (SIGTTIN - 1) |
                              Mask{1} << (SIGTTOU - 1);

struct Plan {
  const Program* program;
  pid_t parent;
  volatile int error;  // set by the child
};

// Not by sigprocmask, which never blocks the signals that libc uses itself. No
// handler may run in the child, because it would act on the parent's memory.
void SetMask(const Mask* mask, Mask* old) {
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, old, sizeof *mask);
}

void ResetSignals() {
  // Fails for SIGKILL and SIGSTOP, and for the signals that libc uses itself.
  for (int signal = 1; signal <= kSignals; signal++) ResetSignal(signal);
}

int HighestTarget(const Program& program) {
  int highest = -1;
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

int ArrangeFds(const Program& program) {
  const int highest = HighestTarget(program);
  // First moves sources above all targets. Otherwise the pair from 3 to 4 would
  // overwrite the source of the pair from 4 to 3.
  for (size_t i = 0; i < program.fd_count; i++) {
    FdPair& pair = program.fds[i];
    if (pair.source == pair.target || pair.source > highest) continue;
    const int moved = fcntl(pair.source, F_DUPFD_CLOEXEC, highest + 1);
    if (moved < 0) return -errno;
    pair.source = moved;
  }
  for (size_t i = 0; i < program.fd_count; i++) {
    const FdPair& pair = program.fds[i];
    // dup2 does nothing for equal numbers, and the fd would stay close-on-exec.
    const int result = pair.source == pair.target
                           ? fcntl(pair.target, F_SETFD, 0)
                           : dup2(pair.source, pair.target);  // NOLINT(*Std*)
    if (result < 0) return -errno;
  }
  for (int fd = 0; fd < highest; fd++) {
    if (!IsTarget(program, fd)) fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  CloseOnExecFrom(highest + 1);
  return 0;
}

// Returns only when a step failed.
int Become(const Program& program, pid_t parent) {
  ResetSignals();
  if (program.leads_group) LeadGroup(0);
  if (program.death_signal != 0) {
    const int result = SetDeathSignal(program.death_signal, parent);
    if (result < 0) return result;
  }
  if (*program.cwd != '\0' && chdir(program.cwd) != 0) return -errno;
  const int result = ArrangeFds(program);
  if (result < 0) return result;
  SetMask(&kStopSignals, nullptr);
  execve(program.file, program.argv, program.env);
  return -errno;
}

// Not inlined, so that the child writes only to the stack frames of this
// function and of the functions that it calls.
__attribute__((noinline)) pid_t StartChild(Plan* plan) {
  // posix_spawn cannot move fds out of the way, nor close the others.
  const pid_t pid = vfork();  // NOLINT(*vfork,*unsafe-functions,cert-msc*)
  if (pid == 0) {
    // The child may call functions, because its parent does not run meanwhile
    // and expects the change of the plan. NOLINTNEXTLINE(*Vfork)
    plan->error = Become(*plan->program, plan->parent);
    _exit(kFailed);
  }
  return pid < 0 ? -errno : pid;
}

}  // namespace

int Spawn(const Program& program) {
  Plan plan = {&program, getpid(), 0};
  Mask old;
  SetMask(&kAllSignals, &old);
  const pid_t pid = StartChild(&plan);
  SetMask(&old, nullptr);
  if (pid < 0 || plan.error == 0) return pid;
  AwaitEnd(pid);
  return plan.error;
}

}  // namespace sys
