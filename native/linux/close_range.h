// Close all fds from `first` on, now or at exec, also without close_range(2).
#pragma once

namespace sys {

// These make system calls only.
void CloseFrom(int first);
void CloseOnExecFrom(int first);

// The highest open fd, or -errno.
int HighestFd();

}  // namespace sys
