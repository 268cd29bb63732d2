// Sends any sequence of messages through a socket, with more or fewer fds than
// the receiver has room for. Every received message must fit, its fds must be
// close-on-exec, and no fd may stay open.
#include "../../native/passing.h"

#include <errno.h>
#include <fcntl.h>
#include <fuzzer/FuzzedDataProvider.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "../../native/posix.h"

namespace {

// SCM_MAX_FD in the kernel.
constexpr size_t kMostSent = 253;
constexpr size_t kMostBytes = 64;

void Expect(bool holds) {
  if (!holds) abort();
}

int LowestFree() {
  const int fd = dup(0);
  Expect(fd >= 0);
  close(fd);
  return fd;
}

// SendFds is not used, because it refuses messages that are too long.
void Send(int socket, std::string bytes, size_t fd_count) {
  alignas(struct cmsghdr) char control[CMSG_SPACE(kMostSent * sizeof(int))];
  struct iovec vector = {&bytes[0], bytes.size()};
  struct msghdr header = {};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  if (fd_count > 0) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
    struct cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
    const int fd = 0;
    for (size_t i = 0; i < fd_count; i++) {
      memcpy(CMSG_DATA(part) + i * sizeof fd, &fd, sizeof fd);
    }
  }
  const ssize_t sent = sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
  Expect(sent >= 0 || errno == EAGAIN);
}

void Receive(int socket, size_t room, size_t length) {
  // The exact sizes let AddressSanitizer detect any access beyond them.
  auto* bytes = static_cast<char*>(malloc(length));
  auto* fds = static_cast<int*>(malloc(room * sizeof(int)));
  sys::Message message = {bytes, length, fds, room};
  const int received = sys::ReceiveFds(socket, &message, false);
  if (received >= 0) {
    Expect(static_cast<size_t>(received) <= length);
    Expect(message.fd_count <= room);
    for (size_t i = 0; i < message.fd_count; i++) {
      Expect(fcntl(fds[i], F_GETFD) == FD_CLOEXEC);
      close(fds[i]);
    }
  } else {
    Expect(received == -EAGAIN);
  }
  free(bytes);
  free(fds);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  const int before = LowestFree();
  int ends[2];
  Expect(sys::SocketPair(ends, input.ConsumeBool()) == 0);
  while (input.remaining_bytes() > 0) {
    if (input.ConsumeBool()) {
      const auto fd_count = input.ConsumeIntegralInRange<size_t>(0, kMostSent);
      Send(ends[0], input.ConsumeRandomLengthString(kMostBytes), fd_count);
    } else {
      const auto room = input.ConsumeIntegralInRange<size_t>(0, kMostSent);
      Receive(ends[1], room,
              input.ConsumeIntegralInRange<size_t>(0, kMostBytes));
    }
  }
  close(ends[0]);
  close(ends[1]);
  // An fd that stayed open would occupy the lowest free number.
  Expect(LowestFree() == before);
  return 0;
}
