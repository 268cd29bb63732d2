// What a child of the zygote does between the fork and its job. All signals are
// blocked in it until JavaScript has installed the guard that returns the job's
// token when a signal ends the job.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <unistd.h>

#include "../deadline.h"
#include "../passing.h"
#include "../posix.h"
#include "../protocol.h"
#include "../zygote.h"
#include "close_range.h"

namespace sys {
namespace {

// Sends a pidfd along, where possible, so that the submitter can signal the job
// by it.
void SendStarted(int report, int pid) {
  int self = ExitFd(pid);
  Report started = {kStarted, pid, 0, {}};
  Message message = {&started, sizeof started, &self, self < 0 ? 0U : 1U};
  const int result = SendFds(report, message);
  if (self >= 0) close(self);
  message.fd_count = 0;
  if (result < 0) SendFds(report, message);
}

// Whether the same call may succeed later.
bool IsTemporary(int result) {
  return result == -EAGAIN || result == -EMFILE || result == -ENOBUFS ||
         result == -ENOMEM;
}

// How long a zygote may leave the messages of its children unread. It reads
// them at once, unless it is stopped.
constexpr double kTakenMs = 10'000;
constexpr double kRetryMs = 10;

// How long a process may take to close its descriptors when it ends.
constexpr double kEndingMs = 10'000;

// The zygote replaces this spare.
[[noreturn]] void Refuse(int report, ReportKind kind, int error) {
  Report refused = {kind, error, 0, {}};
  SendFds(report, {&refused, sizeof refused, nullptr, 0});
  _exit(0);
}

// A submitter keeps the reader of a result socket open while it lives.
bool IsReaderGone(int writer, double timeout_ms) {
  struct pollfd end = {writer, 0, 0};
  return Poll(&end, 1, timeout_ms) > 0;
}

// Takes the token out of the request; negative: there is none to give back.
int TakeToken(const Message& request) {
  // As lib/protocol/order.ts packs them.
  double order[4] = {-1, 0, 0, 0};
  ReadAt(request.fds[kOrderFd], order, sizeof order, 0);
  const auto [byte, lenders, enclosures, has_claims] = order;
  const size_t others = request.fd_count - kFirstInheritedFd;
  const auto first = static_cast<size_t>(lenders + enclosures);
  if (first >= others) return -1;
  // The last fds of a request: claims, result sockets of lenders, enclosures.
  const int* lender_fds = request.fds + request.fd_count - first;
  // The submitter of a lender gives it back while it lives.
  for (size_t i = 0; i < static_cast<size_t>(lenders); i++) {
    if (!IsReaderGone(lender_fds[i], 0)) return -1;
  }
  if (has_claims == 0) return static_cast<int>(byte);
  const int page = lender_fds[-1];
  int32_t word = 0;
  const int32_t none = 0;
  const off_t at = kTokenWord * sizeof word;
  ReadAt(page, &word, sizeof word, at);
  // Whoever gives a token back clears the word first.
  if (pwrite(page, &none, sizeof none, at) != sizeof none) return -1;
  return word - 1;
}

}  // namespace

int TakeInput(const ForkRequest& request, Message* message) {
  if (request.has_input == 0 || message->fd_count == 0) return -1;
  message->fd_count -= 1;
  return message->fds[message->fd_count];
}

void GiveTokenOfOrphan(const Message& request, bool is_ending) {
  constexpr int kSlotWriter = kFirstInheritedFd + 1;
  if (request.is_truncated || request.fd_count <= kSlotWriter) return;
  const double timeout_ms = is_ending ? kEndingMs : 0;
  if (!IsReaderGone(request.fds[kResultFd], timeout_ms)) return;
  const int token = TakeToken(request);
  if (token < 0) return;
  const auto byte = static_cast<uint8_t>(token);
  Write(request.fds[kSlotWriter], &byte, 1);
}

void Zygote::EndScout() {
  // The pages that the check of a request touches are recorded as well.
  Sender zygote = {getppid(), getuid(), getgid(), -1};
  BecomeChildOf(zygote, TimerSlack());
  hot_pages_.Record();
  _exit(0);
}

int Zygote::EndScoutAfter(double cpu_ms) {
  if (scout_ == nullptr) return -EINVAL;
  struct sigaction action = {};
  action.sa_handler = [](int) { scout_->EndScout(); };
  if (sigaction(SIGPROF, &action, nullptr) != 0) return -errno;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGPROF);
  sigprocmask(SIG_UNBLOCK, &signals, nullptr);
  return StartTimer(ITIMER_PROF, cpu_ms);
}

void Zygote::BecomeSpare(int zygote_pid) {
  // A spare without its zygote would take a job whose end is never reported.
  if (SetDeathSignal(SIGKILL, zygote_pid) < 0) _exit(1);
  CloseFrom(private_from_);
  hot_pages_.Copy();
}

// The name of the submitter in /proc, "0" for none. /proc may be that of an
// outer pid namespace, where only a pidfd shows which process it is.
void Zygote::NameInProc(const Sender& submitter, char name[16]) const {
  int pid = submitter.pid;
  if (atoi(StatusField(state_, "\nPid:")) != getppid()) {
    char file[32];
    char text[512];
    snprintf(file, sizeof file, "fdinfo/%d", submitter.pidfd);
    const int result = ReadProcFile("self", file, text, sizeof text);
    const char* line = result == 0 ? strstr(text, "\nPid:") : nullptr;
    pid = line == nullptr ? 0 : atoi(line + 5);
  }
  snprintf(name, 16, "%d", pid);
}

// False when the submitter may do less than this process, or when a fork cannot
// become like a child of the submitter. The ids of the message are compared too
// because the sender may have started another program since, one that has the
// rights of its file's owner.
bool Zygote::BecomeChildOf(const Sender& submitter, int timer_slack) const {
  char name[16];
  NameInProc(submitter, name);
  ProcessState state;
  bool is_same = submitter.uid == getuid() && submitter.gid == getgid() &&
                 ReadProcessState(name, &state) == 0 &&
                 HasIdentityOf(state_, state, name) &&
                 InheritFrom(state_, state, submitter.pid) == 0;
  if (submitter.pidfd >= 0) {
    // While the submitter is alive, no other process can have had its pid.
    struct pollfd end = {submitter.pidfd, POLLIN, 0};
    is_same = is_same && Poll(&end, 1, 0) == 0;
  }
  return is_same && prctl(PR_SET_TIMERSLACK, timer_slack) == 0;
}

// Whether the submitter has begun to end. It releases its memory first, and its
// descriptors later.
bool Zygote::IsEnding(const Sender& submitter) const {
  char name[16];
  NameInProc(submitter, name);
  char sizes[128];
  return ReadProcFile(name, "statm", sizes, sizeof sizes) == 0 &&
         strncmp(sizes, "0 ", 2) == 0;
}

// Waits for room in the socket: without this message, the end of the job would
// never be reported.
int Zygote::SendTaken(Taken taken, int report) const {
  const Message message = {&taken, sizeof taken, &report, 1};
  const Deadline deadline(kTakenMs);
  for (;;) {
    const int result = SendFds(taken_writer_, message);
    if (!IsTemporary(result) || deadline.HasPassed()) return result;
    struct pollfd room = {taken_writer_, POLLOUT, 0};
    Poll(&room, result == -EAGAIN ? 1 : 0, kRetryMs);
  }
}

size_t Zygote::TakeJob(int* fds) {
  ForkRequest request = {};
  int received[kMostPassed];
  Message message = {&request, sizeof request, received, kMostPassed};
  Sender submitter = {};
  message.sender = &submitter;
  const int length = ReceiveFds(request_fd_, &message, true);
  const int input = TakeInput(request, &message);
  // 0 is the end: no submitter is left.
  if (length <= 0 || message.fd_count < kOrderFd) _exit(0);
  if (message.is_truncated) Refuse(received[kReportFd], kRefused, EMFILE);
  if (static_cast<size_t>(length) < sizeof request) {
    Refuse(received[kReportFd], kRefused, EBADMSG);
  }
  if (!BecomeChildOf(submitter, request.timer_slack)) {
    GiveTokenOfOrphan(message, IsEnding(submitter));
    Refuse(received[kReportFd], kMismatch, 0);
  }
  if (submitter.pidfd >= 0) close(submitter.pidfd);
  // The job survives its zygote.
  prctl(PR_SET_PDEATHSIG, 0);
  terminal_signals_.Restore();
  close(request_fd_);

  const int pid = getpid();
  if (request.group_grace >= 0) LeadGroup(0);
  const Taken taken = {pid, request.orphan_signal, request.group_grace};
  const int sent = SendTaken(taken, received[kReportFd]);
  if (IsTemporary(sent)) Refuse(received[kReportFd], kRefused, -sent);
  close(taken_writer_);
  SendStarted(received[kReportFd], pid);
  close(received[kReportFd]);

  if (input >= 0) {
    dup2(input, STDIN_FILENO);
    close(input);
  }
  dup2(received[kStdoutFd], STDOUT_FILENO);
  dup2(received[kStderrFd], STDERR_FILENO);
  close(received[kStdoutFd]);
  close(received[kStderrFd]);
  const size_t count = message.fd_count - kOrderFd;
  for (size_t i = 0; i < count; i++) fds[i] = received[kOrderFd + i];
  return count;
}

}  // namespace sys
