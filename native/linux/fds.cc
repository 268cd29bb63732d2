// Opens fds that are close-on-exec from the start, and polls fds.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../posix.h"

namespace sys {
namespace {

constexpr unsigned kMemfdCloseOnExec = 1;
constexpr unsigned kMemfdAllowSealing = 2;
// Older headers lack F_ADD_SEALS. The seals keep the size and the seals.
constexpr int kAddSeals = 1033;
constexpr int kSealAll = 1 | 2 | 4;

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

int PageFile() {
  const int fd = MemoryFile(kMemfdCloseOnExec | kMemfdAllowSealing);
  if (fd < 0) return fd;
  if (ftruncate(fd, kPageBytes) != 0) {
    const int error = -errno;
    close(fd);
    return error;
  }
  // Fails for a temporary file, which cannot be sealed.
  fcntl(fd, kAddSeals, kSealAll);
  return fd;
}

int PollOnce(struct pollfd* fds, size_t count, const timespec* left) {
  const int ready = ppoll(fds, count, left, nullptr);
  return ready < 0 ? -errno : ready;
}

}  // namespace sys
