#include "../stamp.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../posix.h"
#include "../process_state.h"

namespace sys {
namespace {

// The fields of /proc/self/status that a child inherits and no call of
// RightsStamp gives.
constexpr const char* kFields[] = {"\nUmask:", "\nCapBnd:", "\nCapAmb:",
                                   "\nSeccomp_filters:", "\nCpus_allowed:"};

void AddGroups(Hash* hash) {
  gid_t groups[1024];
  const int count = getgroups(1024, groups);
  hash->Add(count);
  if (count > 0) hash->Add(groups, static_cast<size_t>(count) * sizeof *groups);
}

void AddCapabilities(Hash* hash) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capget, &header, sets) == 0) hash->Add(sets);
}

}  // namespace

int RightsStamp() {
  Hash hash;
  uid_t users[3] = {};
  gid_t groups[3] = {};
  getresuid(&users[0], &users[1], &users[2]);
  getresgid(&groups[0], &groups[1], &groups[2]);
  hash.Add(users);
  hash.Add(groups);
  AddGroups(&hash);
  AddCapabilities(&hash);
  hash.Add(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  hash.Add(prctl(PR_GET_SECCOMP, 0, 0, 0, 0));
  return hash.value();
}

int StateStamp() {
  ProcessState state;
  const int result = ReadProcessState("self", &state);
  if (result < 0) return result;
  Hash hash;
  for (const char* field : kFields) {
    const char* text = StatusField(state, field);
    hash.Add(text, strcspn(text, "\n"));
  }
  hash.Add(state.limits, strlen(state.limits));
  hash.Add(state.oom_score_adj, strlen(state.oom_score_adj));
  if (state.shows_namespaces) {
    for (const char* name : state.namespaces) hash.Add(name, strlen(name));
    hash.Add(state.root_device);
    hash.Add(state.root_inode);
  }
  hash.Add(getpriority(PRIO_PROCESS, 0));
  hash.Add(sched_getscheduler(0));
  hash.Add(getsid(0));
  hash.Add(getpgrp());
  hash.Add(TimerSlack());
  return hash.value();
}

}  // namespace sys
