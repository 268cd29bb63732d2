// The signals that a terminal sends to all processes of its foreground group:
// by Ctrl-C, by Ctrl-\ and at its end.
#pragma once
#include <signal.h>

namespace sys {

class TerminalSignals {
 public:
  // Lets this process, and its forks, outlive them.
  void Ignore();

  // In a fork: undoes that. Forgets those that have come before.
  void Restore() const;

 private:
  static constexpr int kNumbers[] = {SIGINT, SIGQUIT, SIGHUP};
  static constexpr int kCount = sizeof kNumbers / sizeof kNumbers[0];

  struct sigaction before_[kCount] = {};
};

}  // namespace sys
