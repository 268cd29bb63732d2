#include "../hot_pages.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "mappings.h"
#include "pagemap.h"

#ifndef MADV_POPULATE_WRITE
// Since Linux 5.14. An older kernel returns EINVAL, and every first use of a
// page costs a fault.
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

namespace sys {
namespace {

// The advice for a page of the scout, 0 for a page that it has not touched. Its
// exclusive pages are those that it has written; it shares all others of its
// own memory with its parent. A present page of a file is one that it has used.
int AdviceFor(uint64_t page) {
  if ((page & Pagemap::kPresent) == 0) return 0;
  if ((page & Pagemap::kOfFile) != 0) return MADV_POPULATE_READ;
  return (page & Pagemap::kExclusive) != 0 ? MADV_POPULATE_WRITE : 0;
}

}  // namespace

// In memory shared with the scout, which fills it.
struct HotPages::Table {
  static constexpr size_t kMost = 2000;
  size_t count;
  struct {
    uintptr_t start;
    size_t length;
    int advice;
  } ranges[kMost];

  void Add(uintptr_t start, size_t length, int advice) {
    if (advice == 0) return;
    if (count > 0) {
      auto& last = ranges[count - 1];
      if (last.start + last.length == start && last.advice == advice) {
        last.length += length;
        return;
      }
    }
    if (count < kMost) ranges[count++] = {start, length, advice};
  }
};

void HotPages::Open() {
  void* memory = mmap(nullptr, sizeof(Table), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory != MAP_FAILED) table_ = static_cast<Table*>(memory);
}

void HotPages::Record() {
  if (table_ == nullptr) return;
  const Pagemap pagemap;
  if (pagemap.error() < 0) return;
  Mappings mappings;
  Mapping mapping;
  while (mappings.Next(&mapping)) {
    if (mapping.mode[0] != 'r' || mapping.mode[3] != 'p') continue;
    pagemap.Each(mapping, [&](uintptr_t page, uint64_t entry) {
      table_->Add(page, pagemap.page_size(), AdviceFor(entry));
    });
  }
}

void HotPages::Copy() {
  if (table_ == nullptr) return;
  for (size_t i = 0; i < table_->count; i++) {
    const auto& range = table_->ranges[i];
    madvise(reinterpret_cast<void*>(range.start), range.length, range.advice);
  }
  // The table is shared, so a stray write of a job would reach other jobs.
  munmap(table_, sizeof(Table));
  table_ = nullptr;
}

}  // namespace sys
