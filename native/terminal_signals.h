// The signals that a terminal sends to all processes of its foreground group:
// by Ctrl-C, by Ctrl-\ and at its end.
#pragma once
#include <signal.h>

namespace sys {

class TerminalSignals {
 public:
  // From now on, these signals do not end this process or its forks.
  void Ignore();

  // Called in a fork: these signals act again as they did before Ignore.
  // Signals that arrived in between are discarded.
  void Restore() const;

 private:
  static constexpr int kNumbers[] = {SIGINT, SIGQUIT, SIGHUP};
  static constexpr int kCount = sizeof kNumbers / sizeof kNumbers[0];

  struct sigaction before_[kCount] = {};
};

}  // namespace sys
