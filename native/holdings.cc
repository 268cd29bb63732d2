#include "holdings.h"

#include <errno.h>

#include "deadline.h"
#include "posix.h"
#include "zygote_table.h"

namespace sys {
namespace {

// How long the end of a thread may wait for its children. They end at once,
// unless they handle the signal.
constexpr double kEndMs = 1000;
constexpr double kLookMs = 1;

// Calls `is_done` until it returns true. False when the time is up.
template <typename IsDone>
bool Await(IsDone is_done) {
  const Deadline deadline(kEndMs);
  while (!is_done()) {
    if (deadline.HasPassed()) return false;
    Poll(nullptr, 0, kLookMs);
  }
  return true;
}

bool HasEnded(int pid) {
  Status status = {};
  return WaitPid(pid, &status) != 0;
}

// Through a pidfd: by a signal of kill(2), a worker would understand that the
// whole process is dying and that its fds are about to close.
void Signal(int pid, int signal) {
  const int exit_fd = ExitFd(pid);
  Kill(pid, exit_fd, signal);
  if (exit_fd >= 0) Close(exit_fd);
}

void Give(const Orphan& orphan) {
  if (orphan.token < 0) return;
  const auto byte = static_cast<uint8_t>(orphan.token);
  Write(orphan.slot_fd, &byte, 1);
}

}  // namespace

struct Holdings::Child {
  int pid;
  Orphan orphan;
  Child* next;
};

Holdings::~Holdings() {
  for (Child*& head : children_) {
    while (Child* child = head) {
      head = child->next;
      delete child;
    }
  }
}

Holdings::Child** Holdings::Find(int pid) {
  Child** at = &children_[pid % kBuckets];
  while (*at != nullptr && (*at)->pid != pid) at = &(*at)->next;
  return at;
}

void Holdings::AddChild(int pid) {
  Child*& head = children_[pid % kBuckets];
  head = new Child{pid, {}, head};
}

int Holdings::SetOrphan(int pid, const Orphan& orphan) {
  if (pid < 0) return -ESRCH;
  Child* child = *Find(pid);
  if (child == nullptr) return -ESRCH;
  child->orphan = orphan;
  return 0;
}

void Holdings::RemoveChild(int pid) {
  if (pid < 0) return;
  Child** at = Find(pid);
  Child* child = *at;
  if (child == nullptr) return;
  *at = child->next;
  delete child;
}

// The fds are closed after the children are reaped: a worker that finds its
// result pipe closed gives its token back itself.
void Holdings::Release() {
  SignalChildren();
  Await([this] { return ReapChildren(); });
  LeaveChildren();
  fds_.TakeAll([](int fd) { Close(fd); });
  zygotes_.TakeAll([](int socket) {
    const int pid = ReleaseZygote(socket, false);
    if (pid <= 0) return;
    // Jobs of other threads may keep it alive.
    if (!Await([pid] { return HasEnded(pid); })) LeaveChild(pid);
  });
}

void Holdings::SignalChildren() {
  for (const Child* child : children_) {
    for (; child != nullptr; child = child->next) {
      if (child->orphan.signal > 0) Signal(child->pid, child->orphan.signal);
    }
  }
}

// True when no child is left whose end is to be awaited.
bool Holdings::ReapChildren() {
  bool is_done = true;
  for (Child*& head : children_) {
    for (Child** at = &head; *at != nullptr;) {
      Child* child = *at;
      if (HasEnded(child->pid)) {
        Give(child->orphan);
        *at = child->next;
        delete child;
      } else {
        is_done = is_done && child->orphan.signal == 0;
        at = &child->next;
      }
    }
  }
  return is_done;
}

void Holdings::LeaveChildren() {
  for (Child*& head : children_) {
    while (Child* child = head) {
      LeaveChild(child->pid);
      head = child->next;
      delete child;
    }
  }
}

}  // namespace sys
