#include "../huge_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mappings.h"

namespace sys {

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)

namespace {

constexpr uintptr_t kHugeBytes = 2 << 20;

bool HasHugePages() {
  char text[64] = "";
  constexpr char kFile[] = "/sys/kernel/mm/transparent_hugepage/enabled";
  const int fd = open(kFile, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  return length > 0 && strstr(text, "[never]") == nullptr;
}

uintptr_t AlignUp(uintptr_t address) {
  return (address + kHugeBytes - 1) & ~(kHugeBytes - 1);
}

// Replaces the pages by a copy. Another thread may use them at the same time.
int Replace(uintptr_t start, size_t length) {
  // More, so that a part of it has the right alignment.
  void* memory = mmap(nullptr, length + kHugeBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return -errno;
  const auto base = reinterpret_cast<uintptr_t>(memory);
  const uintptr_t aligned = AlignUp(base);
  auto* copy = reinterpret_cast<void*>(aligned);
  auto* text = reinterpret_cast<void*>(start);
  auto* rest = reinterpret_cast<void*>(aligned + length);
  if (aligned > base) munmap(memory, aligned - base);
  if (aligned < base + kHugeBytes) munmap(rest, base + kHugeBytes - aligned);
  int result = madvise(copy, length, MADV_HUGEPAGE);
  if (result == 0) {
    memcpy(copy, text, length);
    // Fails where the system forbids code in memory that was written.
    result = mprotect(copy, length, PROT_READ | PROT_EXEC);
  }
  constexpr int kMove = MREMAP_MAYMOVE | MREMAP_FIXED;
  if (result == 0 && mremap(copy, length, length, kMove, text) == MAP_FAILED) {
    result = -1;
  }
  if (result == 0) return 0;
  const int error = errno;
  munmap(copy, length);
  return -error;
}

}  // namespace

int EnlargeText(const void* code) {
  if (!HasHugePages()) return 0;
  const auto address = reinterpret_cast<uintptr_t>(code);
  Mappings mappings;
  Mapping mapping;
  while (mappings.Next(&mapping)) {
    if (mapping.end <= address) continue;
    const bool is_text = mapping.start <= address && !mapping.is_anonymous &&
                         strcmp(mapping.mode, "r-xp") == 0;
    const uintptr_t start = AlignUp(mapping.start);
    const uintptr_t end = mapping.end & ~(kHugeBytes - 1);
    return is_text && start < end ? Replace(start, end - start) : 0;
  }
  return mappings.error();
}

#else

int EnlargeText(const void*) { return -ENOSYS; }

#endif

}  // namespace sys
