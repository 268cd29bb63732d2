// The loop of the forkserver. It never runs JavaScript, so that every child is
// a fork of the same warm heap. A spare is a child that waits for a request,
// and the kernel hands each request to one of them. The spare then sends its
// report socket to the zygote, which is its parent and thus the only process
// that learns how it ends.
#include "../zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fork.h"
#include "../heap_layout.h"
#include "../passing.h"
#include "../posix.h"
#include "../protocol.h"
#include "close_range.h"
#include "zygote_child.h"

namespace sys {
namespace {

// The scout waits for nothing, so it is killed when it takes longer.
constexpr int kScoutMs = 2000;

// A fork slows down jobs that have just begun. So only the last spare is
// replaced at once, and the others after this time without an event.
constexpr int kCalmMs = 20;

// The time to the next try after a fork has failed: no event reports that
// processes are available again.
constexpr int kRetryMs = 10;

// The interval between two looks at the groups that are to end.
constexpr int kLookMs = 20;

constexpr int kIsChild = 1;

// Waits until a child has ended, without reaping it.
void AwaitZombie(int pid) {
  siginfo_t info;
  const auto id = static_cast<id_t>(pid);
  while (waitid(P_PID, id, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
    continue;
  }
}

// What an event is about. The tag is kept in the low bits of the event's data,
// which is the address of the child that the event concerns.
enum Tag : unsigned { kRequest = 0, kTaken = 1, kExit = 2, kReport = 3 };
constexpr uintptr_t kTagBits = 3;

}  // namespace

Zygote* Zygote::scout_ = nullptr;

int Zygote::Open() {
  int result = ReadProcessState("self", &state_);
  if (result < 0) return result;
  int ends[2];
  result = SocketPair(ends, true);
  if (result < 0) return result;
  const int highest = HighestFd();
  if (highest < 0) return highest;
  private_from_ = highest + 1;
  taken_reader_ = MovePrivate(ends[0]);
  if (taken_reader_ < 0) return taken_reader_;
  taken_writer_ = ends[1];
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  epoll_ = epoll < 0 ? -errno : MovePrivate(epoll);
  if (epoll_ < 0) return epoll_;
  // Spares receive the requests themselves, and the zygote only has to notice
  // that all submitters are gone. Without spares it needs one event for each
  // request, and no second one before the child has received it.
  const uint32_t each_request = EPOLLIN | EPOLLET;
  const uint32_t events = wanted_spares_ > 0 ? 0 : each_request;
  result = Watch(request_fd_, events, nullptr, kRequest);
  if (result == 0) result = Watch(taken_reader_, EPOLLIN, nullptr, kTaken);
  if (result < 0) return result;
  // A program that handles Ctrl-C goes on, and so does its zygote.
  terminal_signals_.Ignore();
  return result;
}

bool Zygote::ServeEarly() {
  HandleEvents(0);
  FreeForgotten();
  // A child that has not taken its request yet counts as a spare.
  if (is_ending_ || spare_count_ > 0 || !HasRequest()) return false;
  if (PrepareFork() < 0 || ForkChild() != 0) return false;
  EndPackHeap();
  return true;
}

int Zygote::EndPreparation() {
  hot_pages_.Open();
  EndPackHeap();
  // Once is enough: the heap does not grow between two forks.
  return PrepareFork();
}

int Zygote::MovePrivate(int fd) {
  if (fd < 0) return fd;
  const int moved = fcntl(fd, F_DUPFD_CLOEXEC, private_from_);
  const int result = moved < 0 ? -errno : moved;
  close(fd);
  return result;
}

int Zygote::Watch(int fd, uint32_t events, Child* child, unsigned tag) {
  struct epoll_event event = {};
  event.events = events;
  event.data.u64 = reinterpret_cast<uintptr_t>(child) | tag;
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

int Zygote::ForkScout() {
  const int self = getpid();
  const int pid = ForkMasked();
  if (pid == 0) {
    if (SetDeathSignal(SIGKILL, self) < 0) _exit(1);
    scout_ = this;
    return 0;
  }
  if (pid < 0) return pid;
  struct pollfd end = {ExitFd(pid), POLLIN, 0};
  if (end.fd >= 0) Poll(&end, 1, kScoutMs);
  kill(pid, SIGKILL);
  AwaitEnd(pid);
  if (end.fd >= 0) close(end.fd);
  return pid;
}

void Zygote::Announce() const {
  int state = kReady;
  // Fails when no submitter is left, which the loop notices as well.
  SendFds(request_fd_, {&state, sizeof state, nullptr, 0});
}

void Zygote::Serve() {
  Announce();
  for (;;) {
    const int missing = ForkMissing();
    if (missing == kIsChild) return;
    // Without a process for it, the oldest request gets an answer at least.
    if (missing < 0 && spare_count_ == 0) RefuseOne(missing);
    if (is_ending_ && child_count_ == 0) _exit(0);
    const int calm_ms = groups_ == nullptr ? -1 : kLookMs;
    HandleEvents(missing < 0 ? kRetryMs : is_calm_ ? calm_ms : kCalmMs);
    EndGroups();
    FreeForgotten();
  }
}

int Zygote::ForkMissing() {
  while (!is_ending_ && IsSpareMissing()) {
    const int pid = ForkChild();
    if (pid == 0) return kIsChild;
    if (pid < 0) return pid;
  }
  return 0;
}

bool Zygote::IsSpareMissing() const {
  if (wanted_spares_ > 0) return spare_count_ < (is_calm_ ? wanted_spares_ : 1);
  // With a spare, the request may be the one that the spare is receiving.
  return spare_count_ == 0 && HasRequest();
}

bool Zygote::HasRequest() const {
  struct pollfd request = {request_fd_, POLLIN, 0};
  return Poll(&request, 1, 0) > 0 && request.revents == POLLIN;
}

int Zygote::ForkChild() {
  const int self = getpid();
  const int pid = ForkMasked();
  if (pid == 0) BecomeSpare(self);
  return pid > 0 ? AddChild(pid) : pid;
}

// Returns pid, or an -errno when the child had to be ended again.
int Zygote::AddChild(int pid) {
  auto* child = new Child();
  child->pid = pid;
  child->exit_fd = MovePrivate(ExitFd(pid));
  child->next = spares_;
  spares_ = child;
  spare_count_ += 1;
  child_count_ += 1;
  const int result = child->exit_fd < 0
                         ? child->exit_fd
                         : Watch(child->exit_fd, EPOLLIN, child, kExit);
  if (result == 0) return pid;
  // The end of a job in this child would not be noticed.
  kill(pid, SIGKILL);
  AwaitZombie(pid);
  // The child may have taken a job before the signal arrived.
  OnTaken();
  OnEnded(child);
  return result;
}

// To close the fd is not enough: a child forked a moment ago may still have it
// open, and then the event would arrive after its Child has been freed.
void Zygote::Unwatch(int* fd) {
  if (*fd < 0) return;
  epoll_ctl(epoll_, EPOLL_CTL_DEL, *fd, nullptr);
  close(*fd);
  *fd = -1;
}

void Zygote::HandleEvents(int timeout_ms) {
  struct epoll_event events[64];
  const int count = epoll_wait(epoll_, events, 64, timeout_ms);
  if (count < 0 && errno != EINTR) _exit(1);
  if (count == 0) is_calm_ = true;
  // Before OnEnded: a short job may have begun and ended in the same turn.
  OnTaken();
  for (int i = 0; i < count; i++) {
    const uintptr_t data = events[i].data.u64;
    auto* child = reinterpret_cast<Child*>(data & ~kTagBits);
    const uintptr_t tag = data & kTagBits;
    if (tag == kRequest) OnRequest(events[i].events);
    if (tag == kExit) OnEnded(child);
    if (tag == kReport) OnSubmitterGone(child);
  }
}

void Zygote::OnRequest(uint32_t events) {
  is_ending_ = (events & (EPOLLHUP | EPOLLERR)) != 0;
  if (is_ending_) epoll_ctl(epoll_, EPOLL_CTL_DEL, request_fd_, nullptr);
}

void Zygote::OnTaken() {
  for (;;) {
    Taken taken = {};
    int report = -1;
    Message message = {&taken, sizeof taken, &report, 1};
    if (ReceiveFds(taken_reader_, &message, false) <= 0) return;
    is_calm_ = false;
    Child* child = Unlink(taken.pid);
    child->orphan_signal = taken.orphan_signal;
    child->group_grace = taken.group_grace;
    child->report = MovePrivate(report);
    if (child->report >= 0) Watch(child->report, 0, child, kReport);
  }
}

// Removes a child from the spares. Returns nullptr when it has a job.
Zygote::Child* Zygote::Unlink(int pid) {
  Child** link = &spares_;
  while (*link != nullptr && (*link)->pid != pid) link = &(*link)->next;
  Child* child = *link;
  if (child == nullptr) return nullptr;
  *link = child->next;
  spare_count_ -= 1;
  return child;
}

void Zygote::RefuseOne(int error) {
  ForkRequest request = {};
  int fds[kMostPassed];
  Message message = {&request, sizeof request, fds, kMostPassed};
  if (ReceiveFds(request_fd_, &message, false) <= 0) return;
  Report refused = {kRefused, -error, 0, {}};
  if (message.fd_count > kReportFd) {
    SendFds(fds[kReportFd], {&refused, sizeof refused, nullptr, 0});
  }
  const int input = TakeInput(request, &message);
  if (input >= 0) close(input);
  GiveTokenOfOrphan(message, false);
  for (size_t i = 0; i < message.fd_count; i++) close(fds[i]);
}

}  // namespace sys
