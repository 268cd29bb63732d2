#include "../filled_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mappings.h"

namespace sys {
namespace {

// A bit of a pagemap entry. See admin-guide/mm/pagemap.rst of the kernel. A
// page that is not present has no memory, and a look at it would take some.
constexpr uint64_t kPresent = uint64_t{1} << 63;

// No heap of V8, but memory of a sanitizer, which would take seconds to read.
constexpr uintptr_t kTooLong = uintptr_t{1} << 36;

class FilledPages {
 public:
  FilledPages(int pagemap, double number) : pagemap_(pagemap) {
    memcpy(&word_, &number, sizeof word_);
  }

  void DropIn(const Mapping& mapping) {
    if (mapping.end - mapping.start >= kTooLong) return;
    uint64_t entries[512];
    for (uintptr_t at = mapping.start; at < mapping.end;) {
      const auto offset = static_cast<off_t>(at / kPageSize * sizeof *entries);
      size_t wanted = (mapping.end - at) / kPageSize * sizeof *entries;
      if (wanted > sizeof entries) wanted = sizeof entries;
      const ssize_t length = pread(pagemap_, entries, wanted, offset);
      if (length <= 0) break;
      for (size_t i = 0; i < static_cast<size_t>(length) / sizeof *entries;
           i++, at += kPageSize) {
        if ((entries[i] & kPresent) != 0 && IsFilled(at)) Add(at);
      }
    }
    DropRange();
  }

  int count() const { return count_; }

 private:
  // It reads memory of any owner, also between two allocations.
  __attribute__((no_sanitize("address"))) bool IsFilled(uintptr_t page) const {
    const auto* words = reinterpret_cast<const uint64_t*>(page);
    for (size_t i = 0; i < kPageSize / sizeof *words; i++) {
      if (words[i] != word_) return false;
    }
    return true;
  }

  void Add(uintptr_t page) {
    if (page != end_) {
      DropRange();
      start_ = page;
    }
    end_ = page + kPageSize;
  }

  void DropRange() {
    const size_t length = end_ - start_;
    if (length > 0 &&
        madvise(reinterpret_cast<void*>(start_), length, MADV_DONTNEED) == 0) {
      count_ += static_cast<int>(length / kPageSize);
    }
    start_ = end_ = 0;
  }

  const uintptr_t kPageSize = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const int pagemap_;
  uint64_t word_;
  uintptr_t start_ = 0;
  uintptr_t end_ = 0;
  int count_ = 0;
};

}  // namespace

int DropFilledPages(double number) {
  Mappings mappings;
  if (mappings.error() < 0) return mappings.error();
  const int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (pagemap < 0) return -errno;
  FilledPages filled(pagemap, number);
  Mapping mapping;
  while (mappings.Next(&mapping)) {
    const bool is_data = strcmp(mapping.mode, "rw-p") == 0;
    if (mapping.is_anonymous && is_data) filled.DropIn(mapping);
  }
  close(pagemap);
  return filled.count();
}

}  // namespace sys
