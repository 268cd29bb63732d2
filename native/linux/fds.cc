// Opens fds that are close-on-exec from the start, and polls fds.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../posix.h"

namespace sys {
namespace {

constexpr unsigned kMemfdCloseOnExec = 1;
constexpr unsigned kMemfdAllowSealing = 2;
// Older headers lack F_ADD_SEALS and F_GET_SEALS. The seals keep the size and
// the seals.
constexpr int kAddSeals = 1033;
constexpr int kGetSeals = 1034;
constexpr int kSealSize = 2 | 4;
constexpr int kSealFutureWrites = 16;

int MemoryFile(unsigned flags) {
  // By number, because memfd_create is missing before glibc 2.27.
  const long fd = syscall(SYS_memfd_create, "jobserver", flags);
  if (fd >= 0) return static_cast<int>(fd);
  // A seccomp filter that does not know the call fails with EPERM.
  if (errno == ENOSYS || errno == EPERM) return TemporaryFile();
  return -errno;
}

}  // namespace

int Pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC) == 0 ? 0 : -errno; }

int SocketPair(int ends[2], bool packets) {
  const int type = packets ? SOCK_SEQPACKET : SOCK_STREAM;
  return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0 ? 0 : -errno;
}

int AnonymousFile() { return MemoryFile(kMemfdCloseOnExec); }

int SegmentFile(size_t size) {
  const int fd = MemoryFile(kMemfdCloseOnExec | kMemfdAllowSealing);
  if (fd < 0) return fd;
  if (ftruncate(fd, static_cast<off_t>(size)) != 0) {
    const int error = -errno;
    close(fd);
    return error;
  }
  // Fails for a temporary file, which cannot be sealed.
  fcntl(fd, kAddSeals, kSealSize);
  return fd;
}

int InspectSegment(int fd, double* inode, double* size) {
  const int seals = fcntl(fd, kGetSeals);
  if (seals < 0 || (seals & kSealSize) != kSealSize) return -EINVAL;
  struct stat file;
  if (fstat(fd, &file) != 0) return -errno;
  *inode = static_cast<double>(file.st_ino);
  *size = static_cast<double>(file.st_size);
  return 0;
}

int MakeConstant(int fd) {
  // Fails for a temporary file, and before Linux 5.1.
  fcntl(fd, kAddSeals, kSealFutureWrites);
  return 0;
}

int MakePrivate(void* base, size_t size, bool gives_back) {
  constexpr int kAccess = PROT_READ | PROT_WRITE;
  constexpr int kKind = MAP_PRIVATE | MAP_ANONYMOUS;
  void* copy = mmap(nullptr, size, kAccess, kKind, -1, 0);
  if (copy == MAP_FAILED) return -errno;
  memcpy(copy, base, size);
  if (gives_back) {
    __atomic_store_n(static_cast<int32_t*>(base), 0, __ATOMIC_SEQ_CST);
  }
  constexpr int kMove = MREMAP_MAYMOVE | MREMAP_FIXED;
  if (mremap(copy, size, size, kMove, base) != MAP_FAILED) return 0;
  const int error = -errno;
  munmap(copy, size);
  return error;
}

int PollOnce(struct pollfd* fds, size_t count, const timespec* left) {
  const int ready = ppoll(fds, count, left, nullptr);
  return ready < 0 ? -errno : ready;
}

}  // namespace sys
