#include "own_group.h"

#include <unistd.h>

#include "deadline.h"
#include "posix.h"

namespace sys {
namespace {

bool is_guarded = false;
// Atomic: two threads may run the handler at the same time.
bool is_signaled = false;
bool skips_next = false;

// More means that the group is not killed.
constexpr double kLongestMs = 1e11;
// The interval between two looks at a group that is to end.
constexpr double kLookMs = 10;

}  // namespace

int GuardGroup(bool is_on) {
  is_guarded = is_on;
  is_signaled = false;
  skips_next = false;
  return 0;
}

void SignalOwnGroup(int signal) {
  if (!is_guarded) return;
  if (__atomic_exchange_n(&is_signaled, true, __ATOMIC_SEQ_CST)) return;
  __atomic_store_n(&skips_next, true, __ATOMIC_SEQ_CST);
  kill(-getpid(), signal);
}

bool IsOfOwnGroup(const siginfo_t& info) {
  return info.si_pid == getpid() &&
         __atomic_exchange_n(&skips_next, false, __ATOMIC_SEQ_CST);
}

void EndOwnGroupAfter(double grace_ms) {
  const int group = getpid();
  if (!is_guarded || !(grace_ms < kLongestMs) || ForkPlain() != 0) return;
  LeadGroup(0);
  const Deadline deadline(grace_ms);
  while (!deadline.HasPassed()) {
    // Without a member, the number may soon be that of another group.
    if (kill(-group, 0) != 0) _exit(0);
    Poll(nullptr, 0, kLookMs);
  }
  kill(-group, SIGKILL);
  _exit(0);
}

void KillOwnGroup() {
  if (is_guarded) kill(-getpid(), SIGKILL);
}

}  // namespace sys
