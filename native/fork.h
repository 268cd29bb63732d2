// Forking a process that runs JavaScript: Linux only, -ENOSYS elsewhere.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace sys {

// V8 keeps its heap out of forks; a fork of a process that has run JavaScript
// since has to be prepared anew.
int PrepareFork();

// Forks a process that is prepared; 0 in the child, where no other thread lives
// and every signal waits until it is unblocked: libuv's handlers would tell the
// parent of what is meant for the child.
int ForkMasked();

// Prepares and forks.
int Fork();

// Waits until every other thread of this process sleeps, so that none of them
// holds a lock that a child would wait for. Returns 1, or 0 after timeout_ms.
int AwaitQuiet(double timeout_ms);

// Copies ahead of time what a fork would copy page by page.
class HotPages {
 public:
  // Before the forks. Without memory for it nothing is known, and nothing lost.
  void Open();
  // In a fork that has done what the others will do.
  void Record();
  // In the others, once.
  void Copy();

 private:
  struct Table;
  Table* table_ = nullptr;
};

// What the submitter sends, with these fds in this order: the report socket,
// standard output and standard error, then those that only JavaScript knows.
struct ForkRequest {
  int orphan_signal;
};

// What the submitter hears on its report socket.
enum ReportKind : int {
  kStarted = 1,  // value: pid; with a pidfd
  kEnded = 2,    // value: exit code or -1, signal or 0
  kRefused = 3,  // value: errno
  // Of a zygote that has threads, which no fork would have; from JavaScript.
  kDeclined = 4,
};
struct Report {
  int kind;
  int value;
  int signal;
};

// The forkserver. `Serve` returns in a child only, which is a spare until it
// takes the job of some request; the process of the caller ends in it, when
// nobody is left who could ask.
class Zygote {
 public:
  // Forks `spares` children ahead of the requests that arrive on request_fd.
  Zygote(int request_fd, int spares)
      : request_fd_(request_fd), wanted_spares_(spares) {}

  // First of all; what keeps it from serving is told here.
  int Open();

  // 0 in a child that is to do what all jobs do and then to call EndScout; the
  // other children are spared the faults that it has met.
  int ForkScout();
  void EndScout();

  void Serve();

  // In a child: waits for a request, then tells its submitter and the zygote.
  // The fds that JavaScript knows, and their number.
  size_t TakeJob(int* fds);

 private:
  struct Child;

  int MovePrivate(int fd);
  int ForkMissing();
  bool IsSpareMissing() const;
  bool HasRequest() const;
  int ForkChild();
  int AddChild(int pid);
  int Watch(int fd, uint32_t events, Child* child, unsigned tag);
  void Unwatch(int* fd);
  void HandleEvents(int timeout_ms);
  void OnRequest(uint32_t events);
  void OnTaken();
  void OnEnded(Child* child);
  void OnSubmitterGone(Child* child);
  void RefuseOne(int error);
  Child* Unlink(int pid);
  void FreeForgotten();

  const int request_fd_;
  const int wanted_spares_;
  // Descriptors that a child has no business with lie from here on, so that it
  // closes them at one stroke.
  int private_from_ = 0;
  HotPages hot_pages_;
  int epoll_ = -1;
  int taken_reader_ = -1;
  int taken_writer_ = -1;
  Child* spares_ = nullptr;
  Child* forgotten_ = nullptr;
  int spare_count_ = 0;
  int child_count_ = 0;
  bool is_ending_ = false;
  bool is_calm_ = true;
};

}  // namespace sys
