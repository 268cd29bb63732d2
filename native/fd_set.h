// A set of fds. It is an array, because an fd is the lowest free number.
#pragma once
#include <stdlib.h>
#include <string.h>

namespace sys {

class FdSet {
 public:
  FdSet() = default;
  ~FdSet() { free(has_); }
  FdSet(const FdSet&) = delete;
  FdSet& operator=(const FdSet&) = delete;

  // Without memory, the fd is not in the set afterwards.
  void Add(int fd) {
    if (fd < 0 || (fd >= size_ && !Grow(fd + 1))) return;
    has_[fd] = true;
  }

  void Remove(int fd) {
    if (fd >= 0 && fd < size_) has_[fd] = false;
  }

  bool Has(int fd) const { return fd >= 0 && fd < size_ && has_[fd]; }

  // Removes each fd and calls `use` with it.
  template <typename Use>
  void TakeAll(Use use) {
    for (int fd = 0; fd < size_; fd++) {
      if (!has_[fd]) continue;
      has_[fd] = false;
      use(fd);
    }
  }

 private:
  bool Grow(int least) {
    const int size = least + least / 2;
    void* grown = realloc(has_, static_cast<size_t>(size));
    if (grown == nullptr) return false;
    has_ = static_cast<bool*>(grown);
    memset(has_ + size_, 0, static_cast<size_t>(size - size_));
    size_ = size;
    return true;
  }

  bool* has_ = nullptr;
  int size_ = 0;
};

}  // namespace sys
