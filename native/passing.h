// Bytes and fds over a Unix socket; never blocks.
#pragma once
#include <stddef.h>

namespace sys {

// What the kernel passes at once is 253; a job has fewer.
constexpr size_t kMostPassed = 128;

struct Message {
  void* bytes;
  size_t length;
  int* fds;
  size_t fd_count;
};

// All of the bytes, or -EAGAIN where there is no room.
int SendFds(int socket, const Message& message);
// Bytes received, 0 at the end. message->fd_count goes in as room for fds and
// comes out as their number; they are close-on-exec, and what is too much for
// the room is closed.
int ReceiveFds(int socket, Message* message, bool wait);

}  // namespace sys
