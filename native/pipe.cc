// Descriptors, born close-on-exec, and bytes through them.
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform.h"
#include "posix.h"

namespace jobserver {

int Pipe(int ends[2]) { return PipeCloseOnExec(ends); }

int SocketPair(int ends[2], bool packets) {
  return SocketPairCloseOnExec(ends, packets);
}

int Dup(int fd) {
  int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  return duplicate < 0 ? -errno : duplicate;
}

int Close(int fd) {
  // Never again after EINTR: the number may be somebody else's by then.
  return close(fd) == 0 || errno == EINTR ? 0 : -errno;
}

int SetCloseOnExec(int fd, bool on) {
  int flags = fcntl(fd, F_GETFD);
  if (flags < 0) return -errno;
  flags = on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
  return fcntl(fd, F_SETFD, flags) < 0 ? -errno : 0;
}

int SetNonBlocking(int fd, bool on) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return -errno;
  flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

ssize_t Read(int fd, void* bytes, size_t length) {
  ssize_t count;
  do {
    count = read(fd, bytes, length);
  } while (count < 0 && errno == EINTR);
  return count < 0 ? -errno : count;
}

ssize_t Write(int fd, const void* bytes, size_t length) {
  ssize_t count;
  do {
    count = write(fd, bytes, length);
  } while (count < 0 && errno == EINTR);
  return count < 0 ? -errno : count;
}

}  // namespace jobserver
