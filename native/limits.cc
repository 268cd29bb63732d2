// The limits of this process, as setrlimit(2) has them.
#include <errno.h>
#include <sys/resource.h>

#include "posix.h"

namespace sys {
namespace {

// In the order of `resources` in lib/child/settings.ts.
constexpr decltype(RLIMIT_CPU) kResources[] = {
    RLIMIT_CPU, RLIMIT_AS, RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_CORE};
constexpr size_t kCount = sizeof kResources / sizeof *kResources;

}  // namespace

int SetLimit(size_t resource, double value, bool is_final) {
  if (resource >= kCount) return -EINVAL;
  struct rlimit limit;
  if (getrlimit(kResources[resource], &limit) != 0) return -errno;
  limit.rlim_cur = static_cast<rlim_t>(value);
  if (is_final) limit.rlim_max = limit.rlim_cur;
  return setrlimit(kResources[resource], &limit) == 0 ? 0 : -errno;
}

}  // namespace sys
