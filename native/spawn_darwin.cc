// A program started from argv, env and a table of fds, by posix_spawn: there is
// no death signal, and every fd that is no target is closed by the kernel.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include "posix.h"

namespace jobserver {
namespace {

constexpr size_t kMostFds = 256;

// Duplicates of the sources above all targets, since a target may be another's
// source; closed at the end.
class MovedFds {
 public:
  ~MovedFds() {
    for (size_t i = 0; i < count_; i++) Close(fds_[i]);
  }

  int Add(int source, int lowest) {
    int fd = fcntl(source, F_DUPFD_CLOEXEC, lowest);
    if (fd < 0) return -errno;
    fds_[count_++] = fd;
    return fd;
  }

 private:
  int fds_[kMostFds];
  size_t count_ = 0;
};

int AddActions(posix_spawn_file_actions_t* actions, const Program& program,
               MovedFds* moved) {
  int highest = 2;
  for (size_t i = 0; i < program.fd_count; i++) {
    if (program.fds[i].target > highest) highest = program.fds[i].target;
  }
  int error = posix_spawn_file_actions_addchdir_np(actions, program.cwd);
  if (error == 0) {
    error =
        posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
  }
  for (int fd = 1; error == 0 && fd <= 2; fd++) {
    error = posix_spawn_file_actions_addinherit_np(actions, fd);
  }
  for (size_t i = 0; error == 0 && i < program.fd_count; i++) {
    int source = moved->Add(program.fds[i].source, highest + 1);
    if (source < 0) return -source;
    error = posix_spawn_file_actions_adddup2(actions, source,
                                             program.fds[i].target);
  }
  return error;
}

int SetAttributes(posix_spawnattr_t* attributes) {
  sigset_t all, none;
  sigfillset(&all);
  sigdelset(&all, SIGKILL);
  sigdelset(&all, SIGSTOP);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(attributes, &all);
  posix_spawnattr_setsigmask(attributes, &none);
  return posix_spawnattr_setflags(attributes, POSIX_SPAWN_CLOEXEC_DEFAULT |
                                                  POSIX_SPAWN_SETSIGDEF |
                                                  POSIX_SPAWN_SETSIGMASK);
}

}  // namespace

pid_t Spawn(const Program& program) {
  if (program.fd_count > kMostFds) return -E2BIG;
  MovedFds moved;
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int error = posix_spawn_file_actions_init(&actions);
  if (error != 0) return -error;
  error = posix_spawnattr_init(&attributes);
  if (error == 0) {
    pid_t pid = 0;
    error = SetAttributes(&attributes);
    if (error == 0) error = AddActions(&actions, program, &moved);
    if (error == 0) {
      error = posix_spawn(&pid, program.file, &actions, &attributes,
                          program.argv, program.env);
    }
    posix_spawnattr_destroy(&attributes);
    if (error == 0) {
      posix_spawn_file_actions_destroy(&actions);
      return pid;
    }
  }
  posix_spawn_file_actions_destroy(&actions);
  return -error;
}

}  // namespace jobserver
