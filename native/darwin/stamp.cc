#include "../stamp.h"

#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

namespace sys {

int RightsStamp() {
  Hash hash;
  gid_t groups[NGROUPS_MAX];
  const int count = getgroups(NGROUPS_MAX, groups);
  hash.Add(getuid());
  hash.Add(geteuid());
  hash.Add(getgid());
  hash.Add(getegid());
  if (count > 0) hash.Add(groups, static_cast<size_t>(count) * sizeof *groups);
  return hash.value();
}

int StateStamp() {
  Hash hash;
  for (int resource = 0; resource < RLIM_NLIMITS; resource++) {
    struct rlimit limit = {};
    getrlimit(resource, &limit);
    hash.Add(limit);
  }
  hash.Add(getpriority(PRIO_PROCESS, 0));
  hash.Add(getsid(0));
  hash.Add(getpgrp());
  return hash.value();
}

}  // namespace sys
