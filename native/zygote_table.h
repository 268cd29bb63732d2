// The zygotes that this process has started. All its threads, and all copies of
// the module in a thread, share those with the same key. Each of them holds the
// zygote; the last release closes the socket, which ends the zygote. The
// convention is that of posix.h.
#pragma once

namespace sys {

struct ZygoteLink {
  int socket;
  int pid;  // 0: not a child of this process
};

// Holds the zygote of this key, and fills `link`. Returns -ENOENT when there is
// none.
int HoldZygote(const char* key, ZygoteLink* link);
// Takes over a zygote, shares and holds it. When another thread was faster,
// `link` becomes that thread's zygote, and the one taken over ends.
int ShareZygote(const char* key, ZygoteLink* link);
// Ends one hold. With `is_dead`, HoldZygote does not find the zygote any more.
// Returns the pid that the caller has to reap if this was the last hold,
// otherwise 0.
int ReleaseZygote(int socket, bool is_dead);

}  // namespace sys
