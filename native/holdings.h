// What JavaScript has acquired through one instance of the addon. There is one
// for each environment of Node, which is a thread, and for each copy of the
// module in it. When the instance ends, JavaScript can release nothing any
// more.
#pragma once
#include "fd_set.h"

namespace sys {

// What becomes of a child at the end of the instance.
struct Orphan {
  int signal = 0;    // 0: the child runs on
  int slot_fd = -1;  // gets the token when the signal has ended the child
  int token = -1;    // -1: none
};

class Holdings {
 public:
  Holdings() = default;
  ~Holdings();
  Holdings(const Holdings&) = delete;
  Holdings& operator=(const Holdings&) = delete;

  void AddFd(int fd) { fds_.Add(fd); }
  void RemoveFd(int fd) { fds_.Remove(fd); }

  // A child that JavaScript is to reap.
  void AddChild(int pid);
  // Returns -ESRCH when there is no such child.
  int SetOrphan(int pid, const Orphan& orphan);
  void RemoveChild(int pid);

  // A zygote of zygote_table.h, by its socket.
  void AddZygote(int socket) { zygotes_.Add(socket); }
  void RemoveZygote(int socket) { zygotes_.Remove(socket); }

  // Releases everything, as the end of a process does: ends and reaps the
  // children, gives their tokens back, and closes the fds.
  void Release();

 private:
  struct Child;
  static constexpr int kBuckets = 256;

  Child** Find(int pid);
  void SignalChildren();
  bool ReapChildren();
  void LeaveChildren();

  FdSet fds_;
  FdSet zygotes_;
  // A table of hashed pids.
  Child* children_[kBuckets] = {};
};

}  // namespace sys
