#include "../fork.h"

#include <errno.h>

// V8's heap does not survive a fork here, and nothing can be done about it.
namespace sys {

int PrepareFork() { return -ENOSYS; }

int Fork() { return -ENOSYS; }

int AwaitQuiet(double) { return -ENOSYS; }

int Zygote::Open() { return -ENOSYS; }

int Zygote::ForkScout() { return -ENOSYS; }

void Zygote::EndScout() {}

void Zygote::Serve() {}

size_t Zygote::TakeJob(int*) { return 0; }

}  // namespace sys
