// Waits for a word of memory that processes share.
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../deadline.h"
#include "../posix.h"

namespace sys {

int WaitWord(int32_t* word, int32_t value, double timeout_ms) {
  const Deadline deadline(timeout_ms);
  for (;;) {
    timespec left;
    // Not private: the word belongs to several processes.
    const long result = syscall(SYS_futex, word, FUTEX_WAIT, value,
                                deadline.Left(&left), nullptr, 0);
    if (result == 0) return 0;
    if (errno != EINTR) return -errno;
  }
}

int WakeWord(int32_t* word, int count) {
  const long woken =
      syscall(SYS_futex, word, FUTEX_WAKE, count, nullptr, nullptr, 0);
  return woken < 0 ? -errno : static_cast<int>(woken);
}

}  // namespace sys
