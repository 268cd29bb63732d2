// Opens fds that are close-on-exec from the start, and polls fds.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../posix.h"

namespace sys {
namespace {

constexpr unsigned kMemfdCloseOnExec = 1;
constexpr unsigned kMemfdAllowSealing = 2;
// Older headers lack F_ADD_SEALS and F_GET_SEALS.
constexpr int kAddSeals = 1033;
constexpr int kGetSeals = 1034;
// These keep the size, or also the content and the seals. The last one refuses
// only what is written from then on, except through mappings that exist.
constexpr int kSealSize = 2 | 4;
constexpr int kSealSeals = 1;
constexpr int kSealAll = kSealSeals | kSealSize | 8;
constexpr int kSealFutureWrites = 16;

// By number, because memfd_create is missing before glibc 2.27.
int CreateMemory() {
  constexpr unsigned kFlags = kMemfdCloseOnExec | kMemfdAllowSealing;
  const long fd = syscall(SYS_memfd_create, "jobserver", kFlags);
  return fd < 0 ? -errno : static_cast<int>(fd);
}

// A seccomp filter that does not know the call fails with EPERM.
bool IsMissing(int result) { return result == -ENOSYS || result == -EPERM; }

int Seal(int fd, int seals) {
  if (fcntl(fd, kAddSeals, seals) == 0) return 0;
  // A temporary file cannot be sealed; tmpfs says EPERM.
  return errno == EINVAL || errno == EPERM ? 0 : -errno;
}

// Whether a file has these seals. -ENOTSUP for a file without a name where this
// process has no memfd_create, so that AnonymousFile cannot seal either;
// -EBADMSG for any other file.
int CheckSeals(int fd, int wanted) {
  const int seals = fcntl(fd, kGetSeals);
  // A temporary file of tmpfs has the seal that refuses others.
  if (seals >= 0 && seals != kSealSeals) {
    return (seals & wanted) == wanted ? 0 : -EBADMSG;
  }
  const int memory = CreateMemory();
  if (memory >= 0) Close(memory);
  if (!IsMissing(memory)) return -EBADMSG;
  const int result = CheckTemporary(fd);
  return result == 0 ? -ENOTSUP : result;
}

}  // namespace

int Pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC) == 0 ? 0 : -errno; }

int SocketPair(int ends[2], bool packets) {
  const int type = packets ? SOCK_SEQPACKET : SOCK_STREAM;
  return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0 ? 0 : -errno;
}

int AnonymousFile() {
  const int fd = CreateMemory();
  return IsMissing(fd) ? TemporaryFile() : fd;
}

int SealFile(int fd) { return Seal(fd, kSealAll); }

int CheckSealed(int fd) {
  const int result = CheckSeals(fd, kSealAll);
  return result == -ENOTSUP ? 0 : result;
}

// By number, because fstat is missing before glibc 2.33. The kernel fills the
// struct of libc on 64-bit machines.
int StatFile(int fd, struct stat* file) {
  return syscall(SYS_fstat, fd, file) == 0 ? 0 : -errno;
}

int SegmentFile(size_t size) {
  const int fd = AnonymousFile();
  if (fd < 0) return fd;
  int result = ftruncate(fd, static_cast<off_t>(size)) == 0 ? 0 : -errno;
  if (result == 0) result = Seal(fd, kSealSize);
  if (result == 0) return fd;
  close(fd);
  return result;
}

int IsSealedSegment(int fd) {
  const int result = CheckSeals(fd, kSealSize);
  if (result == 0) return 1;
  return result == -ENOTSUP ? 0 : result;
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
  // Another mapping of the first page, because the file may be given back only
  // when the copy has taken the place of its mapping.
  void* head = mremap(base, 0, kPageBytes, MREMAP_MAYMOVE);
  constexpr int kMove = MREMAP_MAYMOVE | MREMAP_FIXED;
  if (head == MAP_FAILED ||
      mremap(copy, size, size, kMove, base) == MAP_FAILED) {
    const int error = -errno;
    if (head != MAP_FAILED) munmap(head, kPageBytes);
    munmap(copy, size);
    return error;
  }
  if (gives_back) GiveBack(head);
  munmap(head, kPageBytes);
  return 0;
}

// By number, because headers before glibc 2.20 lack it. A lock of the open
// file, so that it ends with it, and not when this process closes another fd of
// the file.
int LockByte(int fd, off_t position, bool on) {
  constexpr int kSetLock = 37;
  struct flock byte = {};
  byte.l_type = on ? F_WRLCK : F_UNLCK;
  byte.l_whence = SEEK_SET;
  byte.l_start = position;
  byte.l_len = 1;
  return fcntl(fd, kSetLock, &byte) == 0 ? 0 : -errno;
}

int PollOnce(struct pollfd* fds, size_t count, const timespec* left) {
  const int ready = ppoll(fds, count, left, nullptr);
  return ready < 0 ? -errno : ready;
}

}  // namespace sys
