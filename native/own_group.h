// The process group of an orphan that leads one, which nobody else ends. These
// functions do nothing unless GuardGroup has been called. A handler of signals
// may call them.
#pragma once
#include <signal.h>

namespace sys {

// Once. This process gets the signal as well; see IsOfOwnGroup.
void SignalOwnGroup(int signal);

// Whether the signal is that of SignalOwnGroup.
bool IsOfOwnGroup(const siginfo_t& info);

// Called before this process ends: a process outside of the group ends what is
// left of it after that time.
void EndOwnGroupAfter(double grace_ms);

void KillOwnGroup();

}  // namespace sys
