// What the kernel shows of a process in /proc: what it may do, and what its
// children inherit. The zygote compares its own state with that of each process
// that requests a job. Linux only.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace sys {

struct ProcessState {
  // Of the namespaces that a child of the process would be in.
  static constexpr size_t kNamespaces = 8;

  // Each text ends with a zero byte.
  char limits[2 << 10];
  char oom_score_adj[16];
  // The kernel shows the namespaces and the root only to a process that could
  // trace this one.
  bool shows_namespaces = false;
  char namespaces[kNamespaces][32];
  uint32_t root_device[2];  // major and minor number
  uint64_t root_inode;
  // Last, because it is the only large one: it lists the groups.
  char status[16 << 10];
};

// Fills text with a file of /proc and a zero byte. Returns 0 or -errno.
int ReadProcFile(const char* pid, const char* name, char* text, size_t size);

// `pid` is a number or "self". Returns 0 or -errno.
int ReadProcessState(const char* pid, ProcessState* state);

// What follows `start`, such as "\nUid:", in `status`, or "". No field contains
// the end of a line: the kernel escapes it in the name of the program.
const char* StatusField(const ProcessState& state, const char* start);

// Whether a fork of a process of state `own` can do nothing that a child of the
// sender could not do. `pid` is the name of the sender in /proc.
bool HasIdentityOf(const ProcessState& own, const ProcessState& sender,
                   const char* pid);

// Gives the calling process, a fork of a process of state `own`, what a child
// of the sender inherits. Returns 0, or -errno when it may not change
// something.
int InheritFrom(const ProcessState& own, const ProcessState& sender,
                int sender_pid);

}  // namespace sys
