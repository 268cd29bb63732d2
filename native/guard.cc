// How an orphan gives its token back, once: when the orphan signal ends a
// worker whose submitter is dead, the handler of the signal writes the token to
// the slot pipe, where other processes still wait for it; GiveToken does so
// when the worker ends by itself. A worker that lends its slot leaves it to the
// process that runs there, which in turn leaves it to a living submitter of any
// lender.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

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

// Which signals have the handler.
constexpr int kSignals = 65;
bool is_guarded[kSignals];

// A signal from this process means a dying submitter; 0: none.
int orphan_signaler = 0;

// How long a dying submitter may still have its fds: the end of the thread that
// started the job causes the death signal, and the end of the last thread
// closes the fds.
constexpr int kDyingMs = 1000;

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
  if (IsGivenByOthers()) return;
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

// All signals are blocked on this thread during the handler. Another thread may
// still run the handler, and a pending signal may run it again on this thread
// before the raised signal ends the process.
void GiveBackAndDie(int signal, siginfo_t* info, void*) {
  const int timeout_ms = IsSubmitterDying(*info) ? kDyingMs : 0;
  if (IsReaderGone(guarded_result_fd, timeout_ms)) {
    GiveOnce(guarded_slot_fd, guarded_token);
  }
  ResetSignal(signal);
  // Ends the process when the handler returns and unblocks the signal.
  raise(signal);
}

int RemoveGuards() {
  for (int signal = 1; signal < kSignals; signal++) {
    if (!is_guarded[signal]) continue;
    is_guarded[signal] = false;
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
  struct sigaction action = {};
  action.sa_sigaction = GiveBackAndDie;
  action.sa_flags = SA_RESTART | SA_SIGINFO;
  sigfillset(&action.sa_mask);
  if (sigaction(signal, &action, nullptr) != 0) return -errno;
  is_guarded[signal] = true;
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

int UnblockSignals() {
  sigset_t none;
  sigemptyset(&none);
  return sigprocmask(SIG_SETMASK, &none, nullptr) < 0 ? -errno : 0;
}

int ResetSignal(int signal) {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  return sigaction(signal, &action, nullptr) == 0 ? 0 : -errno;
}

}  // namespace sys
