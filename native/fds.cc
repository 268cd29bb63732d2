// The verbs for fds that are the same on all platforms.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <unistd.h>

#include "posix.h"

namespace sys {
namespace {

// macOS refuses more bytes in one call; Linux transfers fewer in any case.
constexpr size_t kMostBytes = INT_MAX;

size_t AtMost(size_t length) {
  return length < kMostBytes ? length : kMostBytes;
}

// A bit of the flags that fcntl gets and sets.
struct Flag {
  int get;
  int set;
  int bit;
};
constexpr Flag kCloseOnExec = {F_GETFD, F_SETFD, FD_CLOEXEC};
constexpr Flag kNonBlocking = {F_GETFL, F_SETFL, O_NONBLOCK};

int SetFlag(int fd, Flag flag, bool on) {
  const int flags = fcntl(fd, flag.get);
  if (flags < 0) return -errno;
  const int wanted = on ? flags | flag.bit : flags & ~flag.bit;
  if (wanted == flags) return 0;
  return fcntl(fd, flag.set, wanted) < 0 ? -errno : 0;
}

}  // namespace

int Open(const char* path, int flags) {
  int fd;
  do {
    fd = open(path, flags | O_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  return fd < 0 ? -errno : fd;
}

int Duplicate(int fd) {
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  return copy < 0 ? -errno : copy;
}

int DuplicateTo(int fd, int target) {
  int result;
  do {
    result = dup2(fd, target);
  } while (result < 0 && (errno == EINTR || errno == EBUSY));
  return result < 0 ? -errno : 0;
}

int LockRange(int fd, off_t position, off_t length, bool on) {
  struct flock range = {};
  range.l_type = on ? F_WRLCK : F_UNLCK;
  range.l_whence = SEEK_SET;
  range.l_start = position;
  range.l_len = length;
  if (fcntl(fd, F_SETLK, &range) == 0) return 0;
  return errno == EACCES ? -EAGAIN : -errno;
}

int LockFile(int fd, bool on) { return LockRange(fd, 0, 0, on); }

int Close(int fd) {
  // After EINTR the fd is closed on Linux, and another thread may have opened
  // the same number already: a second close would close that one.
  if (close(fd) == 0 || errno == EINTR) return 0;
  return -errno;
}

int SetCloseOnExec(int fd, bool on) { return SetFlag(fd, kCloseOnExec, on); }

int SetNonBlocking(int fd, bool on) { return SetFlag(fd, kNonBlocking, on); }

int Read(int fd, void* bytes, size_t length) {
  for (;;) {
    const ssize_t count = read(fd, bytes, AtMost(length));
    if (count >= 0) return static_cast<int>(count);
    if (errno != EINTR) return -errno;
  }
}

int Write(int fd, const void* bytes, size_t length) {
  for (;;) {
    const ssize_t count = write(fd, bytes, AtMost(length));
    if (count >= 0) return static_cast<int>(count);
    if (errno != EINTR) return -errno;
  }
}

int ReadAt(int fd, void* bytes, size_t length, off_t position) {
  for (;;) {
    const ssize_t count = pread(fd, bytes, AtMost(length), position);
    if (count >= 0) return static_cast<int>(count);
    if (errno != EINTR) return -errno;
  }
}

int WriteAt(int fd, const void* bytes, size_t length, off_t position) {
  for (;;) {
    const ssize_t count = pwrite(fd, bytes, AtMost(length), position);
    if (count >= 0) return static_cast<int>(count);
    if (errno != EINTR) return -errno;
  }
}

int Map(int fd, size_t size, bool is_writable, void** base) {
  const int access = is_writable ? PROT_READ | PROT_WRITE : PROT_READ;
  void* address = mmap(nullptr, size, access, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) return -errno;
  *base = address;
  return 0;
}

void GiveBack(void* head) {
  int32_t lent = 1;
  __atomic_compare_exchange_n(static_cast<int32_t*>(head), &lent, 0, false,
                              __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

int Unmap(void* base, size_t size) {
  return munmap(base, size) == 0 ? 0 : -errno;
}

}  // namespace sys
