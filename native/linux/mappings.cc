#include "mappings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

namespace sys {
namespace {

int OpenMaps() {
  const int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

}  // namespace

Mappings::Mappings() : fd_(OpenMaps()) {}

Mappings::~Mappings() {
  if (fd_ >= 0) close(fd_);
}

bool Mappings::Next(Mapping* mapping) {
  while (const char* line = NextLine()) {
    unsigned long inode = 1;
    int name = 0;
    if (sscanf(line, "%lx-%lx %4s %*s %*s %lu %n", &mapping->start,
               &mapping->end, mapping->mode, &inode, &name) < 4) {
      continue;
    }
    mapping->is_anonymous =
        inode == 0 && mapping->mode[3] == 'p' && line[name] == '\0';
    return true;
  }
  return false;
}

// The next line, or the end of one that is too long; nullptr at the end.
const char* Mappings::NextLine() {
  for (;;) {
    char* const line = buffer_ + start_;
    char* const end = static_cast<char*>(memchr(line, '\n', end_ - start_));
    if (end != nullptr) {
      *end = '\0';
      start_ = static_cast<size_t>(end + 1 - buffer_);
      return line;
    }
    if (!Fill()) return nullptr;
  }
}

bool Mappings::Fill() {
  const size_t rest = end_ - start_;
  memmove(buffer_, buffer_ + start_, rest);
  start_ = 0;
  end_ = rest == sizeof buffer_ ? 0 : rest;
  const ssize_t length =
      fd_ < 0 ? 0 : read(fd_, buffer_ + end_, sizeof buffer_ - end_);
  if (length <= 0) return false;
  end_ += static_cast<size_t>(length);
  return true;
}

}  // namespace sys
