// Starts a program by posix_spawn, whose functions return an error number and
// leave errno alone. The death signal of the program is ignored.
#include <errno.h>
#include <signal.h>
#include <spawn.h>

#include "../posix.h"

namespace sys {
namespace {

// Closes every fd that no file action makes, even one that another thread opens
// during the start.
constexpr short kFlags = POSIX_SPAWN_CLOEXEC_DEFAULT | POSIX_SPAWN_SETSIGDEF |
                         POSIX_SPAWN_SETSIGMASK;

int SetAttributes(posix_spawnattr_t* attributes, bool leads_group) {
  sigset_t all;
  sigset_t none;
  sigfillset(&all);
  sigemptyset(&none);
  // Without a group being set, that of the new process has its pid.
  const short group = leads_group ? POSIX_SPAWN_SETPGROUP : 0;
  const auto flags = static_cast<short>(kFlags | group);
  int error = posix_spawnattr_setflags(attributes, flags);
  if (error == 0) error = posix_spawnattr_setsigdefault(attributes, &all);
  if (error == 0) error = posix_spawnattr_setsigmask(attributes, &none);
  return error;
}

int Highest(const Program& program) {
  int highest = -1;
  for (size_t i = 0; i < program.fd_count; i++) {
    const FdPair& pair = program.fds[i];
    if (pair.source > highest) highest = pair.source;
    if (pair.target > highest) highest = pair.target;
  }
  return highest;
}

// First copies all sources to numbers above the table. Otherwise the pair from
// 3 to 4 would overwrite the source of the pair from 4 to 3.
int AddFds(const Program& program, posix_spawn_file_actions_t* actions) {
  const int above = Highest(program) + 1;
  const int count = static_cast<int>(program.fd_count);
  int error = 0;
  for (int i = 0; i < count && error == 0; i++) {
    error = posix_spawn_file_actions_adddup2(actions, program.fds[i].source,
                                             above + i);
  }
  for (int i = 0; i < count && error == 0; i++) {
    error = posix_spawn_file_actions_adddup2(actions, above + i,
                                             program.fds[i].target);
    if (error != 0) return error;
    error = posix_spawn_file_actions_addclose(actions, above + i);
  }
  return error;
}

int Start(const Program& program, posix_spawnattr_t* attributes,
          posix_spawn_file_actions_t* actions) {
  int error = SetAttributes(attributes, program.leads_group);
  if (error == 0 && *program.cwd != '\0') {
    error = posix_spawn_file_actions_addchdir_np(actions, program.cwd);
  }
  if (error == 0) error = AddFds(program, actions);
  if (error != 0) return -error;
  pid_t pid = -1;
  error = posix_spawn(&pid, program.file, actions, attributes, program.argv,
                      program.env);
  return error == 0 ? pid : -error;
}

}  // namespace

int Spawn(const Program& program) {
  posix_spawnattr_t attributes;
  int error = posix_spawnattr_init(&attributes);
  if (error != 0) return -error;
  posix_spawn_file_actions_t actions;
  error = posix_spawn_file_actions_init(&actions);
  const int result =
      error == 0 ? Start(program, &attributes, &actions) : -error;
  if (error == 0) posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return result;
}

}  // namespace sys
