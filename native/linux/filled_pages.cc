#include "../filled_pages.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "mappings.h"
#include "pagemap.h"

namespace sys {
namespace {

// No heap of V8, but memory of a sanitizer, which would take seconds to read.
constexpr uintptr_t kTooLong = uintptr_t{1} << 36;

class FilledPages {
 public:
  FilledPages(const Pagemap& pagemap, double number) : pagemap_(pagemap) {
    memcpy(&word_, &number, sizeof word_);
  }

  void DropIn(const Mapping& mapping) {
    if (mapping.end - mapping.start >= kTooLong) return;
    pagemap_.Each(mapping, [this](uintptr_t page, uint64_t entry) {
      // Otherwise it has no memory, and a look at it would take some.
      const bool is_present = (entry & Pagemap::kPresent) != 0;
      if (is_present && IsFilled(page)) Add(page);
    });
    DropRange();
  }

  int count() const { return count_; }

 private:
  // It reads memory of any owner, also between two allocations.
  __attribute__((no_sanitize("address"))) bool IsFilled(uintptr_t page) const {
    const auto* words = reinterpret_cast<const uint64_t*>(page);
    for (size_t i = 0; i < pagemap_.page_size() / sizeof *words; i++) {
      if (words[i] != word_) return false;
    }
    return true;
  }

  void Add(uintptr_t page) {
    if (page != end_) {
      DropRange();
      start_ = page;
    }
    end_ = page + pagemap_.page_size();
  }

  void DropRange() {
    const size_t length = end_ - start_;
    if (length > 0 &&
        madvise(reinterpret_cast<void*>(start_), length, MADV_DONTNEED) == 0) {
      count_ += static_cast<int>(length / pagemap_.page_size());
    }
    start_ = end_ = 0;
  }

  const Pagemap& pagemap_;
  uint64_t word_;
  uintptr_t start_ = 0;
  uintptr_t end_ = 0;
  int count_ = 0;
};

}  // namespace

int DropFilledPages(double number) {
  Mappings mappings;
  if (mappings.error() < 0) return mappings.error();
  const Pagemap pagemap;
  if (pagemap.error() < 0) return pagemap.error();
  FilledPages filled(pagemap, number);
  Mapping mapping;
  while (mappings.Next(&mapping)) {
    const bool is_data = strcmp(mapping.mode, "rw-p") == 0;
    if (mapping.is_anonymous && is_data) filled.DropIn(mapping);
  }
  return filled.count();
}

}  // namespace sys
