#include "holdings.h"

#include "deadline.h"
#include "posix.h"
#include "zygote_table.h"

namespace sys {
namespace {

// An idle zygote ends at once. One with jobs ends after them, and is left.
constexpr double kEndMs = 1000;

void AwaitOrLeave(int pid) {
  const Deadline deadline(kEndMs);
  Status status = {};
  while (WaitPid(pid, &status) == 0) {
    if (deadline.HasPassed()) {
      LeaveChild(pid);
      return;
    }
    Poll(nullptr, 0, 1);
  }
}

}  // namespace

void Holdings::Release() {
  zygotes_.TakeAll([](int socket) {
    const int pid = ReleaseZygote(socket, false);
    if (pid > 0) AwaitOrLeave(pid);
  });
}

}  // namespace sys
