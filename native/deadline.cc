#include "deadline.h"

#include <errno.h>
#include <sys/time.h>

namespace sys {
namespace {

constexpr int64_t kNsPerSecond = 1000000000;
constexpr int64_t kNever = INT64_MAX;
// A timeout of 0 has passed already; the clock need not be read.
constexpr int64_t kAtOnce = 0;
// 30 years. With more, the nanoseconds since boot could overflow.
constexpr double kLongestMs = 1e12;

int64_t Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kNsPerSecond + now.tv_nsec;
}

int64_t EndOf(double timeout_ms) {
  if (timeout_ms == 0) return kAtOnce;
  if (!(timeout_ms > 0 && timeout_ms < kLongestMs)) return kNever;
  const double ns = timeout_ms * 1e6;
  const int64_t whole = static_cast<int64_t>(ns);
  return Now() + whole + (static_cast<double>(whole) < ns ? 1 : 0);
}

}  // namespace

Deadline::Deadline(double timeout_ms) : end_ns_(EndOf(timeout_ms)) {}

const timespec* Deadline::Left(timespec* left) const {
  if (end_ns_ == kNever) return nullptr;
  const int64_t ns = LeftNs();
  left->tv_sec = ns / kNsPerSecond;
  left->tv_nsec = ns % kNsPerSecond;
  return left;
}

bool Deadline::HasPassed() const { return end_ns_ != kNever && LeftNs() == 0; }

int64_t Deadline::LeftNs() const {
  if (end_ns_ == kAtOnce) return 0;
  const int64_t ns = end_ns_ - Now();
  return ns > 0 ? ns : 0;
}

int StartTimer(int timer, double ms) {
  constexpr double kMsPerSecond = 1000;
  constexpr double kUsPerMs = 1000;
  // setitimer refuses more.
  constexpr double kMostMs = 1e11;
  struct itimerval value = {};
  if (ms < kMostMs) {
    const auto seconds = static_cast<time_t>(ms / kMsPerSecond);
    const double rest = ms - static_cast<double>(seconds) * kMsPerSecond;
    value.it_value.tv_sec = seconds;
    value.it_value.tv_usec = static_cast<suseconds_t>(rest * kUsPerMs);
  }
  return setitimer(timer, &value, nullptr) == 0 ? 0 : -errno;
}

}  // namespace sys
