// Numbers that change when what a new process would inherit has changed, so
// that a process which was started before gets no job that is submitted after.
// The convention is that of posix.h.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace sys {

// Of what this process may do.
int RightsStamp();
// Of everything else. On Linux, this takes ten times as long.
int StateStamp();

// FNV-1a, 32 bits.
class Hash {
 public:
  void Add(const void* data, size_t length) {
    const auto* bytes = static_cast<const uint8_t*>(data);
    for (size_t i = 0; i < length; i++) value_ = (value_ ^ bytes[i]) * kPrime;
  }
  template <typename T>
  void Add(const T& value) {
    Add(&value, sizeof value);
  }
  // Not negative, because a negative number is an error.
  int value() const { return static_cast<int>(value_ & INT32_MAX); }

 private:
  static constexpr uint32_t kPrime = 16777619;
  uint32_t value_ = 2166136261;
};

}  // namespace sys
