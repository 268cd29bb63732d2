// <spawn.h> of macOS over the one of Linux, with the calls that native/darwin
// makes. They are overloads for types of our own, so that a call that is not
// declared here does not compile.
#pragma once
#include_next <spawn.h>

#include <set>

#define POSIX_SPAWN_CLOEXEC_DEFAULT 0x4000

namespace darwin {

struct SpawnAttributes {
  posix_spawnattr_t rest;
  // POSIX_SPAWN_CLOEXEC_DEFAULT, which glibc lacks.
  bool is_close_default = false;
};

struct FileActions {
  posix_spawn_file_actions_t list;
  // The fds that the actions make. POSIX_SPAWN_CLOEXEC_DEFAULT spares them.
  std::set<int> made;
};

}  // namespace darwin

int posix_spawnattr_init(darwin::SpawnAttributes* attributes);
int posix_spawnattr_destroy(darwin::SpawnAttributes* attributes);
int posix_spawnattr_setflags(darwin::SpawnAttributes* attributes, short flags);
int posix_spawnattr_setsigdefault(darwin::SpawnAttributes* attributes,
                                  const sigset_t* signals);
int posix_spawnattr_setsigmask(darwin::SpawnAttributes* attributes,
                               const sigset_t* signals);

int posix_spawn_file_actions_init(darwin::FileActions* actions);
int posix_spawn_file_actions_destroy(darwin::FileActions* actions);
int posix_spawn_file_actions_addclose(darwin::FileActions* actions, int fd);
int posix_spawn_file_actions_adddup2(darwin::FileActions* actions, int source,
                                     int target);
int posix_spawn_file_actions_addchdir_np(darwin::FileActions* actions,
                                         const char* directory);

int posix_spawn(pid_t* pid, const char* file, darwin::FileActions* actions,
                const darwin::SpawnAttributes* attributes, char* const* argv,
                char* const* env);

#define posix_spawnattr_t darwin::SpawnAttributes
#define posix_spawn_file_actions_t darwin::FileActions
