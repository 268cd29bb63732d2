// Sends and receives messages of bytes and fds over a Unix socket. The
// convention is that of posix.h.
#pragma once
#include <stddef.h>

namespace sys {

// The most fds of a message. The kernel allows 253; a job has fewer.
constexpr size_t kMostPassed = 128;

// Who sent a message. The kernel vouches for each field.
struct Sender {
  int pid = 0;       // 0: unknown, or outside of this pid namespace
  unsigned uid = 0;  // the real ones when the message was sent
  unsigned gid = 0;
  int pidfd = -1;  // -1: the kernel is older than Linux 6.5
};

struct Message {
  void* bytes;
  size_t length;
  int* fds;
  size_t fd_count;
  // The receiver had no room for all fds and what follows.
  bool is_truncated = false;
  // Filled where the socket passes credentials. The caller owns the pidfd.
  Sender* sender = nullptr;
};

// Makes the kernel add the sender to each message that arrives on the socket.
// Linux only, -ENOSYS elsewhere.
int PassCredentials(int socket);

// Sends the whole message, or returns -EAGAIN when the socket has no room, and
// -EMFILE when too many fds of this user are on their way.
int SendFds(int socket, const Message& message);
// Returns the number of bytes, 0 at the end. The caller sets message->fd_count
// to the room in message->fds, and the call sets it to the number of fds
// received. Fds for which there is no room are closed. Without `wait`, the call
// returns -EAGAIN when there is no message.
int ReceiveFds(int socket, Message* message, bool wait);
// Copies the bytes of the next message, which stays. Returns like ReceiveFds.
int Peek(int socket, void* bytes, size_t length);
// While `on`, this process ends by SIGIO when the other end is closed, or when
// a message arrives.
int EndWithPeer(int socket, bool on);

}  // namespace sys
