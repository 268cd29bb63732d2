// What a child of the zygote does between the fork and its job. All signals are
// blocked in it until JavaScript has installed the guard that returns the job's
// token when a signal ends the job.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "../passing.h"
#include "../posix.h"
#include "../protocol.h"
#include "../zygote.h"
#include "close_range.h"

namespace sys {
namespace {

// Sends a pidfd along, so that the submitter can signal the job by it.
void SendStarted(int report, int pid) {
  int self = ExitFd(pid);
  Report started = {kStarted, pid, 0};
  SendFds(report, {&started, sizeof started, &self, self < 0 ? 0U : 1U});
  if (self >= 0) close(self);
}

}  // namespace

void Zygote::EndScout() {
  hot_pages_.Record();
  _exit(0);
}

void Zygote::BecomeSpare(int zygote_pid) {
  // A spare without its zygote would take a job whose end is never reported.
  if (SetDeathSignal(SIGKILL, zygote_pid) < 0) _exit(1);
  CloseFrom(private_from_);
  hot_pages_.Copy();
}

// Waits for room in the socket: without this message, the end of the job would
// never be reported.
void Zygote::SendTaken(Taken taken, int report) const {
  const Message message = {&taken, sizeof taken, &report, 1};
  while (SendFds(taken_writer_, message) == -EAGAIN) {
    struct pollfd room = {taken_writer_, POLLOUT, 0};
    Poll(&room, 1, -1);
  }
}

size_t Zygote::TakeJob(int* fds) {
  ForkRequest request = {};
  int received[kMostPassed];
  Message message = {&request, sizeof request, received, kMostPassed};
  const int length = ReceiveFds(request_fd_, &message, true);
  // 0 is the end: no submitter is left.
  if (length <= 0 || message.fd_count < kFirstOpaqueFd) _exit(0);
  // The job survives its zygote.
  prctl(PR_SET_PDEATHSIG, 0);
  close(request_fd_);

  const int pid = getpid();
  SendTaken({pid, request.orphan_signal}, received[kReportFd]);
  close(taken_writer_);
  SendStarted(received[kReportFd], pid);
  close(received[kReportFd]);

  dup2(received[kStdoutFd], STDOUT_FILENO);
  dup2(received[kStderrFd], STDERR_FILENO);
  close(received[kStdoutFd]);
  close(received[kStderrFd]);
  const size_t count = message.fd_count - kFirstOpaqueFd;
  for (size_t i = 0; i < count; i++) fds[i] = received[kFirstOpaqueFd + i];
  return count;
}

}  // namespace sys
