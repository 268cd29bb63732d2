// The memory mappings of this process, from /proc/self/maps.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace sys {

struct Mapping {
  uintptr_t start;
  uintptr_t end;
  // Such as "rw-p".
  char mode[5];
  // Private memory of no file, without a name: not the heap of malloc, nor the
  // stack of the main thread.
  bool is_anonymous;
};

// Lists them by address. Unlike stdio, it takes no memory, so that a handler of
// signals may use it.
class Mappings {
 public:
  Mappings();
  ~Mappings();
  Mappings(const Mappings&) = delete;
  Mappings& operator=(const Mappings&) = delete;

  // 0, or the -errno with which no list can be read.
  int error() const { return fd_ < 0 ? fd_ : 0; }

  // False at the end.
  bool Next(Mapping* mapping);

 private:
  const char* NextLine();
  bool Fill();

  const int fd_;
  size_t start_ = 0;
  size_t end_ = 0;
  char buffer_[8192];
};

}  // namespace sys
