#include "../terminal_signals.h"

namespace sys {
namespace {

// Also discards a signal that is blocked and waits.
void IgnoreOne(int number, struct sigaction* before) {
  struct sigaction ignore = {};
  ignore.sa_handler = SIG_IGN;
  sigaction(number, &ignore, before);
}

}  // namespace

void TerminalSignals::Ignore() {
  for (int i = 0; i < kCount; i++) IgnoreOne(kNumbers[i], &before_[i]);
}

void TerminalSignals::Restore() const {
  for (int i = 0; i < kCount; i++) {
    IgnoreOne(kNumbers[i], nullptr);
    sigaction(kNumbers[i], &before_[i], nullptr);
  }
}

}  // namespace sys
