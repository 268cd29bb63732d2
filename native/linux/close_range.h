// What close_range(2) does to all fds from one number on, also on kernels that
// lack it. Both functions are async-signal-safe.
#pragma once

namespace sys {

void CloseFrom(int first);
void CloseOnExecFrom(int first);

}  // namespace sys
