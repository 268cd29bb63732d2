#include "holdings.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "deadline.h"
#include "passing.h"
#include "posix.h"
#include "zygote_table.h"

namespace sys {
namespace {

// How long the end of a thread may wait for its jobs. They end at once, unless
// they handle the signal.
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
  // Without a group, there is nothing that it could signal.
  return WaitLeader(pid, &status) != 0;
}

// Through a pidfd: by a signal of kill(2), a worker would understand that the
// whole process is dying and that its fds are about to close.
void Signal(int pid, int signal) {
  const int exit_fd = ExitFd(pid);
  Kill(pid, exit_fd, signal);
  // Fails unless the child leads a process group: it is not reaped, so no other
  // group can have its number.
  kill(-pid, signal);
  if (exit_fd >= 0) Close(exit_fd);
}

// The events of the reader of a pipe: POLLHUP when no process holds the writer.
int EventsOf(int reader) {
  struct pollfd end = {reader, POLLIN, 0};
  return Poll(&end, 1, 0) > 0 ? end.revents : 0;
}

constexpr int64_t kBytes = UINT8_MAX + 1;

int64_t KeyOf(const Token& token) {
  return token.slot_fd * kBytes + token.byte;
}

void Give(const Token& token) {
  const auto byte = static_cast<uint8_t>(token.byte);
  Write(token.slot_fd, &byte, 1);
}

}  // namespace

void Holdings::RemoveFd(int fd) {
  fds_.Remove(fd);
  forks_.Remove(fd);
  UnbindToken(fd);
}

void Holdings::UnbindToken(int reader) {
  const Result* result = results_.Find(reader);
  if (result == nullptr) return;
  AddToken(result->token);
  results_.Remove(reader);
}

void Holdings::AddToken(const Token& token) { *tokens_.Add(KeyOf(token)) += 1; }

void Holdings::RemoveToken(const Token& token) {
  int* count = tokens_.Find(KeyOf(token));
  if (count == nullptr) return;
  *count -= 1;
  if (*count == 0) tokens_.Remove(KeyOf(token));
}

void Holdings::BindToken(const Token& token, int reader, int signal) {
  RemoveToken(token);
  *results_.Add(reader) = {token, signal, false};
}

void Holdings::AddInput(int reader) {
  Result* result = results_.Find(reader);
  if (result != nullptr) result->has_answered = true;
}

int Holdings::EndChild(int pid, int signal) {
  int* child = children_.Find(pid);
  if (child == nullptr) return -ESRCH;
  *child = signal;
  return 0;
}

void Holdings::EndFork(int report_fd, int signal) {
  *forks_.Add(report_fd) = {signal, 0, -1};
}

int Holdings::ReceiveReport(int report_fd, Report* report, int* pidfd) {
  Message message = {report, sizeof *report, pidfd, 1};
  const int length = ReceiveFds(report_fd, &message, false);
  if (length >= 0 && message.fd_count > 0) AddFd(*pidfd);
  Fork* fork = forks_.Find(report_fd);
  if (length > 0 && fork != nullptr && report->kind == kStarted) {
    fork->pid = report->value;
    fork->pidfd = *pidfd;
  }
  return length;
}

// The result socket decides who gives the token of a job back. Once no process
// holds its writer, this thread does so. Once the thread has closed the reader,
// a worker that finds it closed does so.
void Holdings::Release() {
  GiveTokens();
  SignalChildren();
  CloseUnused();
  Await([this] {
    SignalForks();
    const bool are_reaped = ReapChildren();
    return GiveOfEnded() && are_reaped;
  });
  children_.TakeIf([](int64_t pid, const int*) {
    LeaveChild(static_cast<int>(pid));
    return true;
  });
  fds_.TakeAll([](int fd) { Close(fd); });
  zygotes_.TakeAll([](int socket) {
    const int pid = ReleaseZygote(socket, false);
    if (pid <= 0) return;
    // Jobs of other threads may keep it alive.
    if (!Await([pid] { return HasEnded(pid); })) LeaveChild(pid);
  });
}

void Holdings::GiveTokens() {
  tokens_.TakeIf([](int64_t key, const int* count) {
    const Token token = {static_cast<int>(key / kBytes),
                         static_cast<int>(key % kBytes)};
    for (int i = 0; i < *count; i++) Give(token);
    return true;
  });
}

// Among the fds may be the writer of a result socket whose job has not begun.
void Holdings::CloseUnused() {
  FdSet used;
  results_.TakeIf([&used](int64_t reader, const Result* result) {
    used.Add(static_cast<int>(reader));
    used.Add(result->token.slot_fd);
    return false;
  });
  forks_.TakeIf([&used](int64_t report_fd, const Fork* fork) {
    used.Add(static_cast<int>(report_fd));
    used.Add(fork->pidfd);
    return false;
  });
  FdSet kept;
  fds_.TakeAll([&used, &kept](int fd) {
    if (used.Has(fd)) {
      kept.Add(fd);
    } else {
      Close(fd);
    }
  });
  kept.TakeAll([this](int fd) { fds_.Add(fd); });
}

void Holdings::SignalChildren() {
  children_.TakeIf([](int64_t pid, const int* signal) {
    if (*signal > 0) Signal(static_cast<int>(pid), *signal);
    return false;
  });
}

// A job that has not begun gets its signal later.
void Holdings::SignalForks() {
  forks_.TakeIf([this](int64_t key, Fork* fork) {
    Report report = {};
    int pidfd = -1;
    if (fork->pid == 0) ReceiveReport(static_cast<int>(key), &report, &pidfd);
    if (fork->signal == 0 || fork->pidfd < 0) return false;
    Kill(fork->pid, fork->pidfd, fork->signal);
    fork->signal = 0;
    return false;
  });
}

// True when no child is left whose end is to be awaited.
bool Holdings::ReapChildren() {
  bool is_done = true;
  children_.TakeIf([&is_done](int64_t pid, const int* signal) {
    if (HasEnded(static_cast<int>(pid))) return true;
    is_done = is_done && *signal == 0;
    return false;
  });
  return is_done;
}

// Gives the tokens of jobs that have ended. True when no job is left whose end
// is to be awaited. One that has answered may have looked for a reader for the
// last time, so that it would not see this thread close it.
bool Holdings::GiveOfEnded() {
  bool is_done = true;
  results_.TakeIf([&is_done](int64_t key, Result* result) {
    const int reader = static_cast<int>(key);
    const int events = EventsOf(reader);
    if ((events & POLLHUP) != 0) {
      Give(result->token);
      return true;
    }
    if ((events & POLLIN) != 0) result->has_answered = true;
    // A process of several jobs ends once its socket does.
    if (result->has_answered) shutdown(reader, SHUT_WR);
    is_done = is_done && result->signal == 0 && !result->has_answered;
    return false;
  });
  return is_done;
}

}  // namespace sys
