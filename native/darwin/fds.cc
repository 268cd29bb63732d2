// Opens fds and then makes them close-on-exec, because macOS has no call for
// both. A process that another thread starts in between inherits them, unless
// it is started with POSIX_SPAWN_CLOEXEC_DEFAULT, as Spawn and libuv do.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../posix.h"

namespace sys {
namespace {

constexpr int kLongestWaitMs = 1 << 30;

int CloseBothOnExec(int ends[2]) {
  for (int i = 0; i < 2; i++) {
    const int result = SetCloseOnExec(ends[i], true);
    if (result == 0) continue;
    close(ends[0]);
    close(ends[1]);
    return result;
  }
  return 0;
}

// Rounded up, so that the wait does not end early.
int Milliseconds(const timespec* left) {
  if (left == nullptr) return -1;
  if (left->tv_sec >= kLongestWaitMs / 1000) return kLongestWaitMs;
  return static_cast<int>(left->tv_sec * 1000 +
                          (left->tv_nsec + 999999) / 1000000);
}

// poll of macOS reports nothing about an fd that asks for no event, not even
// POLLHUP. An fd that asks for POLLHUP gets it.
void ReplaceEvents(struct pollfd* fds, size_t count, short from, short to) {
  for (size_t i = 0; i < count; i++) {
    if (fds[i].events == from) fds[i].events = to;
  }
}

}  // namespace

int Pipe(int ends[2]) {
  return pipe(ends) == 0 ? CloseBothOnExec(ends) : -errno;
}

int SocketPair(int ends[2], bool packets) {
  const int type = packets ? SOCK_SEQPACKET : SOCK_STREAM;
  if (socketpair(AF_UNIX, type, 0, ends) != 0) return -errno;
  return CloseBothOnExec(ends);
}

int AnonymousFile() { return TemporaryFile(); }

// macOS has no seals: the process that has sent a file may still change it.
int SealFile(int) { return 0; }

// A read of a file of another machine may wait.
int CheckSealed(int fd) {
  struct statfs system;
  if (fstatfs(fd, &system) != 0) return -errno;
  return (system.f_flags & MNT_LOCAL) == 0 ? -EBADMSG : CheckTemporary(fd);
}

int StatFile(int fd, struct stat* file) {
  return fstat(fd, file) == 0 ? 0 : -errno;
}

int SegmentFile(size_t size) {
  const int fd = TemporaryFile();
  if (fd < 0 || ftruncate(fd, static_cast<off_t>(size)) == 0) return fd;
  const int error = -errno;
  close(fd);
  return error;
}

int IsSealedSegment(int fd) { return CheckSealed(fd); }

int MakeConstant(int) { return 0; }

int MakePrivate(void*, size_t, bool) { return -ENOTSUP; }

// A lock of this process, whichever fd of the file it has.
int LockByte(int fd, off_t position, bool on) {
  return LockRange(fd, position, 1, on);
}

int PollOnce(struct pollfd* fds, size_t count, const timespec* left) {
  ReplaceEvents(fds, count, 0, POLLHUP);
  const int ready = poll(fds, static_cast<nfds_t>(count), Milliseconds(left));
  const int result = ready < 0 ? -errno : ready;
  ReplaceEvents(fds, count, POLLHUP, 0);
  return result;
}

}  // namespace sys
