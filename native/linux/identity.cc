// What a process may do: users, groups, capabilities, what restricts it, its
// namespaces and its root. A process that the zygote has not started itself may
// hold its socket, and the zygote may be older than a change of the identity of
// its submitter. So each request is checked, by what the kernel shows of its
// sender.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <initializer_list>

#include "../process_state.h"

namespace sys {
namespace {

// Equal up to the end of the line.
bool IsSameField(const ProcessState& a, const ProcessState& b,
                 const char* start) {
  const char* left = StatusField(a, start);
  const char* right = StatusField(b, start);
  const size_t length = strcspn(left, "\n");
  return length == strcspn(right, "\n") && strncmp(left, right, length) == 0;
}

struct Ids {
  unsigned long real, effective, saved, file_system;
};

Ids ReadIds(const ProcessState& state, const char* start) {
  Ids ids = {};
  const char* rest = StatusField(state, start);
  for (unsigned long* id :
       {&ids.real, &ids.effective, &ids.saved, &ids.file_system}) {
    char* end = nullptr;
    *id = strtoul(rest, &end, 10);
    rest = end;
  }
  return ids;
}

// When a program starts, the effective id becomes the saved one.
bool HasIdsOfChild(const ProcessState& own, const ProcessState& sender,
                   const char* start) {
  const Ids mine = ReadIds(own, start);
  const Ids theirs = ReadIds(sender, start);
  return mine.real == theirs.real && mine.effective == theirs.effective &&
         mine.saved == theirs.effective && mine.file_system == theirs.effective;
}

uint64_t ReadMask(const ProcessState& state, const char* start) {
  return strtoull(StatusField(state, start), nullptr, 16);
}

// A program that starts may have fewer capabilities than its starter, but the
// sender could have had as many as `own`.
bool HasNoMoreCapabilities(const ProcessState& own,
                           const ProcessState& sender) {
  const uint64_t all = ReadMask(sender, "\nCapPrm:");
  return (ReadMask(own, "\nCapPrm:") & ~all) == 0 &&
         (ReadMask(own, "\nCapEff:") & ~all) == 0 &&
         IsSameField(own, sender, "\nCapInh:") &&
         IsSameField(own, sender, "\nCapBnd:") &&
         IsSameField(own, sender, "\nCapAmb:");
}

bool HasOwnFile(const char* pid, const char* name) {
  char own[1024];
  char theirs[1024];
  return ReadProcFile("self", name, own, sizeof own) == 0 &&
         ReadProcFile(pid, name, theirs, sizeof theirs) == 0 &&
         strcmp(own, theirs) == 0;
}

// A process that has changed its user shows its namespaces to root only.
// Without capabilities it can enter other namespaces or another root only by a
// user namespace of its own, which has other maps.
bool HasOwnUsers(const ProcessState& sender, const char* pid) {
  return ReadMask(sender, "\nCapPrm:") == 0 && HasOwnFile(pid, "uid_map") &&
         HasOwnFile(pid, "gid_map");
}

bool IsInNamespacesOf(const ProcessState& own, const ProcessState& sender) {
  for (size_t i = 0; i < ProcessState::kNamespaces; i++) {
    if (strcmp(own.namespaces[i], sender.namespaces[i]) != 0) return false;
  }
  return own.root_device[0] == sender.root_device[0] &&
         own.root_device[1] == sender.root_device[1] &&
         own.root_inode == sender.root_inode;
}

}  // namespace

bool HasIdentityOf(const ProcessState& own, const ProcessState& sender,
                   const char* pid) {
  // A process can only add filters, so an equal number means equal filters.
  for (const char* start :
       {"\nGroups:", "\nNoNewPrivs:", "\nSeccomp:", "\nSeccomp_filters:"}) {
    if (!IsSameField(own, sender, start)) return false;
  }
  return HasIdsOfChild(own, sender, "\nUid:") &&
         HasIdsOfChild(own, sender, "\nGid:") &&
         HasNoMoreCapabilities(own, sender) &&
         (sender.shows_namespaces ? IsInNamespacesOf(own, sender)
                                  : HasOwnUsers(sender, pid));
}

}  // namespace sys
