// Close all fds from `first` on, now or at exec, also without close_range(2).
// Both functions make system calls only.
#pragma once

namespace sys {

void CloseFrom(int first);
void CloseOnExecFrom(int first);

}  // namespace sys
