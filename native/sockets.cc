#include "sockets.h"

#include <stddef.h>

#include "args.h"
#include "export.h"
#include "instance.h"
#include "passing.h"
#include "posix.h"

namespace {

// What ReceiveFds writes in place of fds; lib/system/binding.ts has the
// numbers.
constexpr int kNoFd = -1;
constexpr int kLostFd = -2;

int SocketPair(const Args& args) {
  const Ints ends = args.IntsAt(0, 2);
  const int result = sys::SocketPair(ends.data, args.Bool(1));
  return OwnAll(args, result, {ends.data, 2});
}

int SendFds(const Args& args) {
  const Bytes bytes = args.View<Bytes>(1, napi_uint8_array);
  const Ints fds = args.IntsAt(2, 0);
  return sys::SendFds(args.Int(0),
                      {bytes.data, bytes.length, fds.data, fds.count});
}

// Of a message that has lost an fd, nobody could tell which ones the others
// are, so they are closed.
int ReceiveFds(const Args& args) {
  const Bytes bytes = args.View<Bytes>(1, napi_uint8_array);
  const Ints fds = args.IntsAt(2, 0);
  sys::Message message = {bytes.data, bytes.length, fds.data, fds.count};
  const int socket = args.Int(0);
  const int length =
      Input(args, socket, sys::ReceiveFds(socket, &message, false));
  size_t received = length < 0 ? 0 : message.fd_count;
  const bool has_lost = length >= 0 && message.is_truncated;
  while (has_lost && received > 0) sys::Close(fds.data[--received]);
  for (size_t i = received; i < fds.count; i++) {
    fds.data[i] = has_lost ? kLostFd : kNoFd;
  }
  return OwnAll(args, length, {fds.data, received});
}

int PassCredentials(const Args& args) {
  return sys::PassCredentials(args.Int(0));
}

int Peek(const Args& args) {
  const Bytes bytes = args.View<Bytes>(1, napi_uint8_array);
  return sys::Peek(args.Int(0), bytes.data, bytes.length);
}

int EndWithPeer(const Args& args) {
  return sys::EndWithPeer(args.Int(0), args.Bool(1));
}

}  // namespace

void ExportSockets(Napi::Object exports) {
  Export<SocketPair>(exports, "socketpair");
  Export<SendFds>(exports, "sendFds");
  Export<ReceiveFds>(exports, "receiveFds");
  Export<Peek>(exports, "peek");
  Export<EndWithPeer>(exports, "endWithPeer");
  Export<PassCredentials>(exports, "passCredentials");
}
