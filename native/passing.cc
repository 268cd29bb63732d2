#include "passing.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif
#ifndef MSG_CMSG_CLOEXEC
#define MSG_CMSG_CLOEXEC 0
#endif

namespace sys {
namespace {

union Control {
  char bytes[CMSG_SPACE(kMostPassed * sizeof(int))];
  struct cmsghdr align;
};

// Closes fds for which there is no room. The kernel rounds up the size of the
// buffer, so it may deliver more than we have asked for.
void TakeFds(struct msghdr* header, int* fds, size_t room, size_t* count) {
  *count = 0;
  for (struct cmsghdr* part = CMSG_FIRSTHDR(header); part != nullptr;
       part = CMSG_NXTHDR(header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    const size_t received = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < received; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      if (MSG_CMSG_CLOEXEC == 0) fcntl(fd, F_SETFD, FD_CLOEXEC);
      if (*count < room) {
        fds[(*count)++] = fd;
      } else {
        close(fd);
      }
    }
  }
}

}  // namespace

int SendFds(int socket, const Message& message) {
  if (message.fd_count > kMostPassed) return -E2BIG;
  Control control = {};
  struct iovec vector = {message.bytes, message.length};
  struct msghdr header = {};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  if (message.fd_count > 0) {
    const size_t size = message.fd_count * sizeof(int);
    header.msg_control = &control;
    header.msg_controllen = static_cast<socklen_t>(CMSG_SPACE(size));
    struct cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = static_cast<socklen_t>(CMSG_LEN(size));
    memcpy(CMSG_DATA(part), message.fds, size);
  }
  ssize_t sent;
  do {
    sent = sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? -errno : static_cast<int>(sent);
}

int ReceiveFds(int socket, Message* message, bool wait) {
  Control control;
  struct iovec vector = {message->bytes, message->length};
  struct msghdr header = {};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  header.msg_control = &control;
  header.msg_controllen = sizeof control;
  ssize_t received;
  do {
    received =
        recvmsg(socket, &header, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
  } while (received < 0 && errno == EINTR);
  if (received < 0) return -errno;
  TakeFds(&header, message->fds, message->fd_count, &message->fd_count);
  return static_cast<int>(received);
}

}  // namespace sys
