#include "passing.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "posix.h"

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif
#ifndef MSG_CMSG_CLOEXEC
#define MSG_CMSG_CLOEXEC 0
#endif

namespace sys {
namespace {

#ifdef SCM_CREDENTIALS
// Older headers lack them.
#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#define SCM_PIDFD 4
#endif

constexpr size_t kSenderSpace =
    CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int));

void TakeSender(const struct cmsghdr* part, Sender* sender) {
  if (part->cmsg_type == SCM_CREDENTIALS) {
    struct ucred credentials;
    memcpy(&credentials, CMSG_DATA(part), sizeof credentials);
    sender->pid = credentials.pid;
    sender->uid = credentials.uid;
    sender->gid = credentials.gid;
  } else if (part->cmsg_type == SCM_PIDFD) {
    memcpy(&sender->pidfd, CMSG_DATA(part), sizeof(int));
  }
}
#else
constexpr size_t kSenderSpace = 0;

void TakeSender(const struct cmsghdr*, Sender*) {}
#endif

union Control {
  char bytes[CMSG_SPACE(kMostPassed * sizeof(int)) + kSenderSpace];
  struct cmsghdr align;
};

// Closes fds for which there is no room. The kernel rounds up the size of the
// buffer, so it may deliver more than we have asked for.
void TakeFds(const struct cmsghdr* part, size_t room, Message* message) {
  const size_t received = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  for (size_t i = 0; i < received; i++) {
    int fd;
    memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
    if (MSG_CMSG_CLOEXEC == 0) fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (message->fd_count < room) {
      message->fds[message->fd_count++] = fd;
    } else {
      close(fd);
    }
  }
}

void TakeParts(struct msghdr* header, Message* message) {
  const size_t room = message->fd_count;
  message->fd_count = 0;
  Sender sender = {};
  for (struct cmsghdr* part = CMSG_FIRSTHDR(header); part != nullptr;
       part = CMSG_NXTHDR(header, part)) {
    if (part->cmsg_level != SOL_SOCKET) continue;
    if (part->cmsg_type == SCM_RIGHTS) {
      TakeFds(part, room, message);
    } else {
      TakeSender(part, &sender);
    }
  }
  if (message->sender != nullptr) {
    *message->sender = sender;
  } else if (sender.pidfd >= 0) {
    close(sender.pidfd);
  }
}

}  // namespace

int PassCredentials(int socket) {
#ifdef SCM_CREDENTIALS
  const int on = 1;
  if (setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
    return -errno;
  }
  // Fails before Linux 6.5.
  setsockopt(socket, SOL_SOCKET, SO_PASSPIDFD, &on, sizeof on);
  return 0;
#else
  static_cast<void>(socket);
  return -ENOSYS;
#endif
}

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
  if (sent >= 0) return static_cast<int>(sent);
  // The limit is that of open files, and libuv has no name for this error.
  return errno == ETOOMANYREFS ? -EMFILE : -errno;
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
  TakeParts(&header, message);
  message->is_truncated = (header.msg_flags & MSG_CTRUNC) != 0;
  return static_cast<int>(received);
}

int Peek(int socket, void* bytes, size_t length) {
  for (;;) {
    const ssize_t result = recv(socket, bytes, length, MSG_PEEK | MSG_DONTWAIT);
    if (result >= 0) return static_cast<int>(result);
    if (errno != EINTR) return -errno;
  }
}

int EndWithPeer(int socket, bool on) {
  const int flags = fcntl(socket, F_GETFL);
  if (flags < 0 || fcntl(socket, F_SETOWN, getpid()) < 0) return -errno;
  const int wanted = on ? flags | O_ASYNC : flags & ~O_ASYNC;
  if (fcntl(socket, F_SETFL, wanted) < 0) return -errno;
  // It may have been closed before.
  struct pollfd end = {socket, 0, 0};
  if (on && Poll(&end, 1, 0) > 0) raise(SIGIO);
  return 0;
}

}  // namespace sys
