// What Linux and macOS do by different means, for the verbs of posix.h.
#pragma once
#include <poll.h>
#include <stddef.h>
#include <time.h>

namespace jobserver {

int PipeCloseOnExec(int ends[2]);
int SocketPairCloseOnExec(int ends[2], bool packets);

// One poll(2): -1 and errno as it is; may end early; null waits for ever.
int PollOnce(struct pollfd* fds, size_t count, const struct timespec* timeout);

}  // namespace jobserver
