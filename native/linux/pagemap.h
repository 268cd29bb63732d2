// What the kernel says of each memory page of this process. See
// admin-guide/mm/pagemap.rst of the kernel.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "mappings.h"

namespace sys {

class Pagemap {
 public:
  // Bits of an entry.
  static constexpr uint64_t kPresent = uint64_t{1} << 63;
  static constexpr uint64_t kOfFile = uint64_t{1} << 61;
  static constexpr uint64_t kExclusive = uint64_t{1} << 56;

  Pagemap() : fd_(Open()) {}
  ~Pagemap() {
    if (fd_ >= 0) close(fd_);
  }
  Pagemap(const Pagemap&) = delete;
  Pagemap& operator=(const Pagemap&) = delete;

  // 0, or the -errno with which no entry can be read.
  int error() const { return fd_ < 0 ? fd_ : 0; }
  uintptr_t page_size() const { return page_size_; }

  // Calls visit(address, entry) for each page, by address.
  template <typename Visit>
  void Each(const Mapping& mapping, Visit visit) const {
    uint64_t entries[512];
    for (uintptr_t at = mapping.start; at < mapping.end;) {
      const auto offset = static_cast<off_t>(at / page_size_ * sizeof *entries);
      size_t wanted = (mapping.end - at) / page_size_ * sizeof *entries;
      if (wanted > sizeof entries) wanted = sizeof entries;
      const ssize_t length = pread(fd_, entries, wanted, offset);
      if (length <= 0) return;
      const size_t count = static_cast<size_t>(length) / sizeof *entries;
      for (size_t i = 0; i < count; i++, at += page_size_)
        visit(at, entries[i]);
    }
  }

 private:
  static int Open() {
    const int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
  }

  const int fd_;
  const uintptr_t page_size_ = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
};

}  // namespace sys
