// posix_spawn(2) of macOS over the one of glibc.
#include <errno.h>
#include <signal.h>
#include <spawn.h>

// In this file the names mean the types of glibc.
#undef posix_spawnattr_t
#undef posix_spawn_file_actions_t

namespace {

// OPEN_MAX of macOS. Its file actions refuse higher fds.
constexpr int kFdLimit = 10240;

bool IsFd(int fd) { return fd >= 0 && fd < kFdLimit; }

// Adds actions that close all fds that no other action has made. macOS closes
// them at the exec, which is after all actions.
int AddClosing(darwin::FileActions* actions) {
  const auto& made = actions->made;
  const int end = made.empty() ? 0 : *made.rbegin() + 1;
  for (int fd = 0; fd < end; fd++) {
    if (made.count(fd) > 0) continue;
    const int error = posix_spawn_file_actions_addclose(&actions->list, fd);
    if (error != 0) return error;
  }
  return posix_spawn_file_actions_addclosefrom_np(&actions->list, end);
}

}  // namespace

int posix_spawnattr_init(darwin::SpawnAttributes* attributes) {
  return posix_spawnattr_init(&attributes->rest);
}

int posix_spawnattr_destroy(darwin::SpawnAttributes* attributes) {
  return posix_spawnattr_destroy(&attributes->rest);
}

int posix_spawnattr_setflags(darwin::SpawnAttributes* attributes, short flags) {
  attributes->is_close_default = (flags & POSIX_SPAWN_CLOEXEC_DEFAULT) != 0;
  const int rest = flags & ~POSIX_SPAWN_CLOEXEC_DEFAULT;
  return posix_spawnattr_setflags(&attributes->rest, static_cast<short>(rest));
}

int posix_spawnattr_setsigdefault(darwin::SpawnAttributes* attributes,
                                  const sigset_t* signals) {
  return posix_spawnattr_setsigdefault(&attributes->rest, signals);
}

// glibc's child waits for its exec in vfork, where it must not stop. Node
// unblocks the signals when it starts. On macOS, the kernel starts the program.
int posix_spawnattr_setsigmask(darwin::SpawnAttributes* attributes,
                               const sigset_t* signals) {
  sigset_t mask = *signals;
  for (const int signal : {SIGTSTP, SIGTTIN, SIGTTOU}) sigaddset(&mask, signal);
  return posix_spawnattr_setsigmask(&attributes->rest, &mask);
}

int posix_spawn_file_actions_init(darwin::FileActions* actions) {
  return posix_spawn_file_actions_init(&actions->list);
}

int posix_spawn_file_actions_destroy(darwin::FileActions* actions) {
  return posix_spawn_file_actions_destroy(&actions->list);
}

int posix_spawn_file_actions_addclose(darwin::FileActions* actions, int fd) {
  if (!IsFd(fd)) return EBADF;
  actions->made.erase(fd);
  return posix_spawn_file_actions_addclose(&actions->list, fd);
}

int posix_spawn_file_actions_adddup2(darwin::FileActions* actions, int source,
                                     int target) {
  if (!IsFd(source) || !IsFd(target)) return EBADF;
  actions->made.insert(target);
  return posix_spawn_file_actions_adddup2(&actions->list, source, target);
}

int posix_spawn_file_actions_addchdir_np(darwin::FileActions* actions,
                                         const char* directory) {
  return posix_spawn_file_actions_addchdir_np(&actions->list, directory);
}

int posix_spawn(pid_t* pid, const char* file, darwin::FileActions* actions,
                const darwin::SpawnAttributes* attributes, char* const* argv,
                char* const* env) {
  const int error = attributes->is_close_default ? AddClosing(actions) : 0;
  if (error != 0) return error;
  return posix_spawn(pid, file, &actions->list, &attributes->rest, argv, env);
}
