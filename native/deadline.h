// A point of the monotonic clock until which a verb may block. It is fixed on
// entry, so that what interrupts a wait does not make it longer.
#pragma once
#include <stdint.h>
#include <time.h>

namespace sys {

class Deadline {
 public:
  explicit Deadline(double timeout_ms);  // < 0: never

  // Writes what is left, not below zero; nullptr when there is no deadline.
  const timespec* Left(timespec* left) const;
  bool HasPassed() const;

 private:
  int64_t LeftNs() const;

  int64_t end_ns_;
};

}  // namespace sys
