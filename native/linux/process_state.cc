#include "../process_state.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../posix.h"

namespace sys {
namespace {

constexpr const char* kNamespaceFiles[] = {
    "ns/cgroup",
    "ns/ipc",
    "ns/mnt",
    "ns/net",
    "ns/pid_for_children",
    "ns/time_for_children",
    "ns/user",
    "ns/uts",
};
static_assert(sizeof kNamespaceFiles / sizeof *kNamespaceFiles ==
                  ProcessState::kNamespaces,
              "one file for each namespace");

// A link of the namespaces reads `mnt:[4026531841]`.
int ReadNamespaces(int proc, ProcessState* state) {
  for (size_t i = 0; i < ProcessState::kNamespaces; i++) {
    char* text = state->namespaces[i];
    const ssize_t length = readlinkat(proc, kNamespaceFiles[i], text,
                                      sizeof state->namespaces[i] - 1);
    // A kernel without this kind of namespace has no such link.
    if (length < 0 && errno != ENOENT) return -errno;
    text[length < 0 ? 0 : length] = '\0';
  }
  // By number, because fstatat is missing before glibc 2.33.
  struct statx file;
  if (syscall(SYS_statx, proc, "root", 0, STATX_INO, &file) != 0) return -errno;
  state->root_device[0] = file.stx_dev_major;
  state->root_device[1] = file.stx_dev_minor;
  state->root_inode = file.stx_ino;
  return 0;
}

int ReadText(int proc, const char* name, char* text, size_t size) {
  const int fd = openat(proc, name, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  size_t length = 0;
  int count;
  do {
    count = Read(fd, text + length, size - length);
    if (count > 0) length += static_cast<size_t>(count);
  } while (count > 0 && length < size);
  close(fd);
  if (count < 0) return count;
  if (length == size) return -E2BIG;
  text[length] = '\0';
  return 0;
}

int ReadState(int proc, ProcessState* state) {
  int result = ReadText(proc, "status", state->status, sizeof state->status);
  if (result < 0) return result;
  result = ReadText(proc, "limits", state->limits, sizeof state->limits);
  if (result < 0) return result;
  result = ReadText(proc, "oom_score_adj", state->oom_score_adj,
                    sizeof state->oom_score_adj);
  if (result < 0) return result;
  result = ReadNamespaces(proc, state);
  state->shows_namespaces = result == 0;
  return result == -EACCES || result == -EPERM ? 0 : result;
}

int OpenProc(const char* pid) {
  char path[32];
  snprintf(path, sizeof path, "/proc/%s", pid);
  const int proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  return proc < 0 ? -errno : proc;
}

}  // namespace

int ReadProcFile(const char* pid, const char* name, char* text, size_t size) {
  const int proc = OpenProc(pid);
  if (proc < 0) return proc;
  const int result = ReadText(proc, name, text, size);
  close(proc);
  return result;
}

int ReadProcessState(const char* pid, ProcessState* state) {
  const int proc = OpenProc(pid);
  if (proc < 0) return proc;
  const int result = ReadState(proc, state);
  close(proc);
  return result;
}

const char* StatusField(const ProcessState& state, const char* start) {
  const char* line = strstr(state.status, start);
  return line == nullptr ? "" : line + strlen(start);
}

}  // namespace sys
