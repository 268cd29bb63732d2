#include "../hot_pages.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mappings.h"

#ifndef MADV_POPULATE_WRITE
// Since Linux 5.14. An older kernel returns EINVAL, and every first use of a
// page costs a fault.
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

namespace sys {
namespace {

// Bits of a pagemap entry. See admin-guide/mm/pagemap.rst of the kernel.
constexpr uint64_t kPresent = uint64_t{1} << 63;
constexpr uint64_t kOfFile = uint64_t{1} << 61;
constexpr uint64_t kExclusive = uint64_t{1} << 56;

// The advice for a page of the scout, 0 for a page that it has not touched. Its
// exclusive pages are those that it has written; it shares all others of its
// own memory with its parent. A present page of a file is one that it has used.
int AdviceFor(uint64_t page) {
  if ((page & kPresent) == 0) return 0;
  if ((page & kOfFile) != 0) return MADV_POPULATE_READ;
  return (page & kExclusive) != 0 ? MADV_POPULATE_WRITE : 0;
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
  const auto page_size = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  Mappings mappings;
  Mapping mapping;
  while (pagemap >= 0 && mappings.Next(&mapping)) {
    const auto& [start, end, mode, is_anonymous] = mapping;
    if (mode[0] != 'r' || mode[3] != 'p') continue;
    uint64_t pages[512];
    for (uintptr_t at = start; at < end;) {
      const auto offset = static_cast<off_t>(at / page_size * sizeof *pages);
      size_t wanted = (end - at) / page_size * sizeof *pages;
      if (wanted > sizeof pages) wanted = sizeof pages;
      const ssize_t length = pread(pagemap, pages, wanted, offset);
      if (length <= 0) break;
      for (size_t i = 0; i < static_cast<size_t>(length) / sizeof *pages; i++) {
        table_->Add(at, page_size, AdviceFor(pages[i]));
        at += page_size;
      }
    }
  }
  if (pagemap >= 0) close(pagemap);
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
