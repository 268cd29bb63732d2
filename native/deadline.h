// The time of the monotonic clock until which a verb may block. It is computed
// once, when the verb begins, so that an interrupted wait does not take longer.
#pragma once
#include <stdint.h>
#include <time.h>

namespace sys {

class Deadline {
 public:
  explicit Deadline(double timeout_ms);  // < 0: no deadline

  // Fills `left` with the time left, which is 0 after the deadline, and returns
  // it. Returns nullptr when there is no deadline.
  const timespec* Left(timespec* left) const;
  bool HasPassed() const;

 private:
  int64_t LeftNs() const;

  int64_t end_ns_;
};

// Has the kernel send the signal of an interval timer (ITIMER_REAL: SIGALRM,
// ITIMER_PROF: SIGPROF) once, after that time. 0, or years: never.
int StartTimer(int timer, double ms);

}  // namespace sys
