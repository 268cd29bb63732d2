// What is left of a timeout, on the monotonic clock.
#pragma once
#include <stdint.h>
#include <time.h>

namespace jobserver {

class Countdown {
 public:
  // Negative: for ever.
  explicit Countdown(double timeout_ms)
      : is_endless_(timeout_ms < 0),
        end_ns_(is_endless_ ? 0 : Now() + Nanoseconds(timeout_ms)) {}

  bool is_endless() const { return is_endless_; }

  // 0 once it has passed.
  struct timespec Left() const {
    int64_t left = end_ns_ - Now();
    if (left < 0) left = 0;
    return {static_cast<time_t>(left / kSecond),
            static_cast<long>(left % kSecond)};
  }

  bool HasPassed() const { return !is_endless_ && Now() >= end_ns_; }

 private:
  static constexpr int64_t kSecond = 1000000000;

  static int64_t Now() {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * kSecond + now.tv_nsec;
  }

  static int64_t Nanoseconds(double ms) {
    // Enough for ever, and no overflow of what follows.
    constexpr double kMost = 1e15;
    return static_cast<int64_t>((ms < kMost ? ms : kMost) * 1e6);
  }

  bool is_endless_;
  int64_t end_ns_;
};

}  // namespace jobserver
