// How an orphan gives its token back, once: when the orphan signal ends a
// worker whose submitter is dead, the handler of the signal writes the token to
// the slot pipe, where other processes still wait for it; GiveToken does so
// when the worker ends by itself. A lender never gives the token back; its
// borrower does, unless the submitter of one of its lenders lives.
//
// A job that handles the signal is not ended by it. The handler stays installed
// and passes the signal on. It also starts a timer, whose signal ends the
// worker if it is an orphan by then.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "deadline.h"
#include "own_group.h"
#include "posix.h"

namespace sys {
namespace {

// Read by the handler. A process guards one token, so that these do not change
// once a guard is installed.
int guarded_result_fd = -1;
int guarded_slot_fd = -1;
uint8_t guarded_token = 0;
pid_t guarded_parent = 0;
// Shared with the submitter, which sets it to 0 before it gives the token back.
int32_t* token_word = nullptr;
// Atomic: two threads may run the handler for two signals at the same time.
bool is_token_given = false;

// The result sockets of the lenders. Set before a guard is installed.
constexpr size_t kMostLenders = 32;
int lender_fds[kMostLenders];
size_t lender_count = 0;
// Atomic: the handler may run at any time.
bool is_lent = false;

constexpr int kSignals = 65;
// Which signals give the token back.
bool is_guarded[kSignals];
// Which signals are passed on to the feed. Read by the handler.
bool is_fed[kSignals];
// What each signal did before it had the handler of this file: that of Node,
// where JavaScript listens to the signal.
struct sigaction earlier[kSignals];

// A pipe from which JavaScript learns that a signal has arrived.
int feed_fd = -1;
// The first of these signals, and in the high half what came with it. Atomic:
// two threads may run the handler at the same time.
int64_t fed_signal = 0;
constexpr int kHalf = 32;

// How long an orphan may run on that handles its orphan signal.
double grace_ms = 5000;
// The timer runs. Atomic, as above.
bool is_timed = false;

// A signal from this process means a dying submitter; 0: none.
int orphan_signaler = 0;

// How long a dying submitter may still have its fds: the end of the thread that
// started the job causes the death signal, and the end of the last thread
// closes the fds.
constexpr int kDyingMs = 1000;
// A signal has said so, and the job goes on. Atomic, as above.
bool has_dying_submitter = false;

bool IsReaderGone(int writer, int timeout_ms) {
  // Linux reports POLLERR. macOS reports POLLHUP, but only when asked for it.
  struct pollfd end = {writer, POLLHUP, 0};
  return Poll(&end, 1, timeout_ms) == 1 &&
         (end.revents & (POLLERR | POLLHUP)) != 0;
}

bool IsSubmitterDying(const siginfo_t& info) {
  if (orphan_signaler > 0 && info.si_pid == orphan_signaler) return true;
  return IsDeathSignal(info, guarded_parent);
}

bool IsGivenByOthers() {
  if (__atomic_load_n(&is_lent, __ATOMIC_SEQ_CST)) return true;
  for (size_t i = 0; i < lender_count; i++) {
    if (!IsReaderGone(lender_fds[i], 0)) return true;
  }
  return false;
}

// Signals are blocked, or the process ends without it. No process could handle
// an error of the write.
void GiveOnce(int slot_fd, uint8_t token) {
  if (slot_fd < 0 || IsGivenByOthers()) return;
  if (token_word != nullptr) {
    const int32_t held = __atomic_exchange_n(token_word, 0, __ATOMIC_SEQ_CST);
    if (held == 0) return;
    token = static_cast<uint8_t>(held - 1);
  } else if (__atomic_exchange_n(&is_token_given, true, __ATOMIC_SEQ_CST)) {
    return;
  }
  const ssize_t ignored = write(slot_fd, &token, 1);
  static_cast<void>(ignored);
}

// The handler of the timer. A submitter that lives, or another process that has
// sent the signal, ends the worker itself.
void EndOrphan(int) {
  const int error = errno;
  __atomic_store_n(&is_timed, false, __ATOMIC_SEQ_CST);
  if (IsReaderGone(guarded_result_fd, 0)) {
    GiveOnce(guarded_slot_fd, guarded_token);
    KillOwnGroup();
    raise(SIGKILL);
  }
  errno = error;
}

// By a timer of the kernel, because the job may block its thread.
void EndOrphanLater() {
  if (__atomic_exchange_n(&is_timed, true, __ATOMIC_SEQ_CST)) return;
  struct sigaction action = {};
  action.sa_handler = EndOrphan;
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  sigaction(SIGALRM, &action, nullptr);
  // 0 would mean no timer.
  constexpr double kLeastMs = 1;
  StartTimer(ITIMER_REAL, grace_ms > kLeastMs ? grace_ms : kLeastMs);
}

bool Feed(int signal, const siginfo_t& info) {
  if (!__atomic_load_n(&is_fed[signal], __ATOMIC_SEQ_CST)) return false;
  int64_t none = 0;
  const int64_t fed = static_cast<int64_t>(ValueOf(info)) << kHalf | signal;
  __atomic_compare_exchange_n(&fed_signal, &none, fed, false, __ATOMIC_SEQ_CST,
                              __ATOMIC_SEQ_CST);
  const char byte = 0;
  const ssize_t ignored = write(feed_fd, &byte, 1);
  static_cast<void>(ignored);
  return true;
}

bool CallEarlier(int signal, siginfo_t* info, void* context) {
  const struct sigaction& action = earlier[signal];
  const auto flags = static_cast<unsigned>(action.sa_flags);
  // That of Node without a listener, which ends the process.
  if ((flags & SA_RESETHAND) != 0) return false;
  if ((flags & SA_SIGINFO) != 0) {
    action.sa_sigaction(signal, info, context);
    return true;
  }
  if (action.sa_handler == SIG_DFL) return false;
  if (action.sa_handler != SIG_IGN) action.sa_handler(signal);
  return true;
}

// All signals are blocked on this thread during the handler. Another thread may
// still run the handler, and a pending signal may run it again on this thread
// before the raised signal ends the process.
void OnSignal(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  if (IsOfOwnGroup(*info)) return;
  const bool is_dying = IsSubmitterDying(*info);
  const bool is_passed_on = Feed(signal, *info);
  if (CallEarlier(signal, info, context) || is_passed_on) {
    if (is_guarded[signal]) EndOrphanLater();
    if (is_dying) {
      __atomic_store_n(&has_dying_submitter, true, __ATOMIC_SEQ_CST);
      SignalOwnGroup(signal);
    }
    errno = error;
    return;
  }
  if (IsReaderGone(guarded_result_fd, is_dying ? kDyingMs : 0)) {
    GiveOnce(guarded_slot_fd, guarded_token);
    SignalOwnGroup(signal);
    EndOwnGroupAfter(grace_ms);
  }
  ResetSignal(signal);
  // Ends the process when the handler returns and unblocks the signal.
  raise(signal);
}

int Install(int signal) {
  struct sigaction action = {};
  action.sa_sigaction = OnSignal;
  action.sa_flags = SA_RESTART | SA_SIGINFO;
  sigfillset(&action.sa_mask);
  struct sigaction found = {};
  if (sigaction(signal, &action, &found) != 0) return -errno;
  if (found.sa_sigaction != OnSignal) earlier[signal] = found;
  return 0;
}

// The signal does again what it did before Install.
int Uninstall(int signal) {
  const struct sigaction action = earlier[signal];
  earlier[signal] = {};
  return sigaction(signal, &action, nullptr) == 0 ? 0 : -errno;
}

int RemoveGuards() {
  GuardGroup(false);
  feed_fd = -1;
  fed_signal = 0;
  is_timed = false;
  has_dying_submitter = false;
  for (int signal = 1; signal < kSignals; signal++) {
    if (!is_guarded[signal] && !is_fed[signal]) continue;
    is_guarded[signal] = false;
    is_fed[signal] = false;
    earlier[signal] = {};
    const int result = ResetSignal(signal);
    if (result < 0) return result;
  }
  return 0;
}

}  // namespace

int GuardToken(int signal, int result_fd, int slot_fd, uint8_t token) {
  if (signal == 0) return RemoveGuards();
  if (signal < 0 || signal >= kSignals) return -EINVAL;
  guarded_result_fd = result_fd;
  guarded_slot_fd = slot_fd;
  guarded_token = token;
  guarded_parent = getppid();
  is_token_given = false;
  const int result = Install(signal);
  if (result == 0) is_guarded[signal] = true;
  return result;
}

int KeepGuard(int signal) {
  if (signal <= 0 || signal >= kSignals) return -EINVAL;
  return is_guarded[signal] || is_fed[signal] ? Install(signal) : 0;
}

int SetGrace(double ms) {
  grace_ms = ms;
  return 0;
}

int FeedSignal(int signal, int fd) {
  if (signal <= 0 || signal >= kSignals) return -EINVAL;
  const bool is_on = fd >= 0;
  if (is_on) feed_fd = fd;
  __atomic_store_n(&is_fed[signal], is_on, __ATOMIC_SEQ_CST);
  if (is_guarded[signal]) return 0;
  if (!is_on) return Uninstall(signal);
  struct sigaction found = {};
  sigaction(signal, nullptr, &found);
  // As nohup does it.
  if ((found.sa_flags & SA_SIGINFO) == 0 && found.sa_handler == SIG_IGN) {
    is_fed[signal] = false;
    return 0;
  }
  return Install(signal);
}

int FedSignal(int32_t* signal_and_value) {
  const int64_t fed = __atomic_load_n(&fed_signal, __ATOMIC_SEQ_CST);
  signal_and_value[0] = static_cast<int32_t>(fed);
  signal_and_value[1] = static_cast<int32_t>(fed >> kHalf);
  return 0;
}

int OrphanPatience() {
  return __atomic_load_n(&has_dying_submitter, __ATOMIC_SEQ_CST) ? kDyingMs : 0;
}

int EndGroup() {
  // This process ends by itself.
  ::signal(SIGTERM, SIG_IGN);
  SignalOwnGroup(SIGTERM);
  EndOwnGroupAfter(grace_ms);
  return 0;
}

int ForgetFed() {
  fed_signal = 0;
  return 0;
}

int ShareToken(int32_t* word) {
  token_word = word;
  return 0;
}

int SetLenders(const int* result_fds, size_t count) {
  if (count > kMostLenders) return -E2BIG;
  lender_count = count;
  for (size_t i = 0; i < count; i++) lender_fds[i] = result_fds[i];
  return SetLent(false);
}

int SetLent(bool value) {
  __atomic_store_n(&is_lent, value, __ATOMIC_SEQ_CST);
  return 0;
}

int GiveToken(int slot_fd, uint8_t token) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  GiveOnce(slot_fd, token);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  return 0;
}

int SetOrphanSignaler(int pid) {
  orphan_signaler = pid;
  return 0;
}

}  // namespace sys
