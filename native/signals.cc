// What signals do in this process, and whether they arrive.
#include <errno.h>
#include <signal.h>

#include "posix.h"

namespace sys {

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
