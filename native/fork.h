// Forks a process that runs JavaScript. Linux only, -ENOSYS elsewhere. The
// convention is that of posix.h.
#pragma once

namespace sys {

// V8 excludes its heap from forks. This includes again what is mapped now, so
// it is repeated after JavaScript has run.
int PrepareFork();

// Forks a process that PrepareFork has prepared. Returns 0 in the child, which
// has no other thread, and in which all signals are blocked: libuv's handlers
// would still pass a signal of the child on to the parent.
int ForkMasked();

// PrepareFork, then ForkMasked.
int Fork();

// Waits until every other thread of this process sleeps, so that none of them
// holds a lock that a child would wait for. Returns 1, or 0 after timeout_ms.
int AwaitQuiet(double timeout_ms);

}  // namespace sys
