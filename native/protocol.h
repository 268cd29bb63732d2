// The numbers and messages that native/ shares with lib/protocol/fds.ts. A test
// reads this file as text, so each line has one `kName = number` at most. All
// fields of the messages are int32.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "posix.h"

namespace sys {

// The position of each fd of a request, which a submitter sends to the zygote.
// Those from kOrderFd on are passed to JavaScript: the order file, the worker's
// end of the result socket, the submitter's socket to the zygote, then those of
// `inheritedFds` in lib/protocol/fds.ts. C++ reads them only to give back the
// token of a submitter that has ended. The job's input comes last.
enum RequestFd : int {
  kReportFd = 0,
  kStdoutFd = 1,
  kStderrFd = 2,
  kOrderFd = 3,
  kResultFd = 4,
  kZygoteFd = 5,
  kFirstInheritedFd = 6,
};

// The order file begins with two doubles: the token, or a negative number, and
// how many jobs lend it. The file of the claims has the token + 1, or 0, in
// this word, an int32.
enum TokenPlace : int {
  kTokenWord = 64,
};

// What the submitter receives on its end of the report socket.
enum ReportKind : int {
  // By the job: value is its pid, and a pidfd comes along.
  kStarted = 1,
  // By the zygote: value is the exit code or -1, signal is the signal or 0.
  kEnded = 2,
  // By the zygote: value is the errno of a failed fork.
  kRefused = 3,
  // By JavaScript, in a zygote that has a thread which its forks would lack.
  kDeclined = 4,
  // By a spare: it differs from the submitter in what a fork cannot change.
  kMismatch = 5,
};

// What a zygote says of itself, once, on the socket of its requests.
enum ZygoteState : int {
  // It forks from here on.
  kReady = 1,
  // Its forks cannot run jobs; what follows is the position of the reason.
  kUnfit = 2,
  // What it was to load or to run has failed; what follows is the error.
  kFailed = 3,
};

// What a child of the zygote asks of JavaScript, as the first argument of the
// callback of serveForks.
enum ChildStep : int {
  // This child is the scout: run what every job runs, with no request.
  kScoutBegins = 1,
  // This child waits for a request from here on.
  kSpareBegins = 2,
  // A request has arrived; the second argument has the fds from kOrderFd.
  kJobBegins = 3,
  // The event loop is empty.
  kLoopIsEmpty = 4,
  // The event loop is still empty after kLoopIsEmpty: end the process.
  kJobEnds = 5,
  // In the zygote itself: a thread stays busy, so refuse all requests.
  kNeverQuiet = 6,
  // In the zygote itself: run a part of what is left to prepare, and then call
  // resumeForks.
  kMayPrepare = 7,
};

// The sizes of the two messages below, in int32 numbers.
enum MessageInts : int {
  kRequestInts = 4,
  kReportInts = 12,
};

// The bytes of a request, which come with the fds of RequestFd.
struct ForkRequest {
  int32_t orphan_signal;  // Sent to the job when its submitter is gone; 0: none
  int32_t timer_slack;    // Of the submitter, in nanoseconds
  // The job leads a process group that has so many milliseconds to end after
  // the job, or after its orphan signal. -1: it leads none; the largest: any
  // time.
  int32_t group_grace;
  int32_t has_input;  // 1: the last fd of the request is its input
};

// The bytes of a report.
struct Report {
  int32_t kind;  // ReportKind
  int32_t value;
  int32_t signal;
  Usage usage;  // With kEnded
};

static_assert(sizeof(ForkRequest) == kRequestInts * sizeof(int32_t));
static_assert(sizeof(Report) == kReportInts * sizeof(int32_t));

}  // namespace sys
