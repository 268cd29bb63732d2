// The fds of a program that is to be started.
#pragma once
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "posix.h"

// A copy of the caller's table, because Spawn overwrites it.
class FdTable {
 public:
  explicit FdTable(const Ints& ints)
      : count_((ints.count - 1) / 2),
        pairs_(static_cast<sys::FdPair*>(
            malloc((count_ + 1) * sizeof(sys::FdPair)))) {
    if (pairs_ != nullptr) {
      memcpy(pairs_, ints.data + 1, count_ * sizeof(sys::FdPair));
    }
  }
  ~FdTable() { free(pairs_); }
  FdTable(const FdTable&) = delete;
  FdTable& operator=(const FdTable&) = delete;

  sys::FdPair* pairs() const { return pairs_; }
  size_t count() const { return count_; }

 private:
  const size_t count_;
  sys::FdPair* const pairs_;
};
